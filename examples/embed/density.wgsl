// The density of a structure, black where it is solid, from the design where the optimizer has it: filtered
// here as `topology::HatFilter` does on the CPU.

struct Settings {
    columns: u32,
    rows: u32,
    layers: u32,
    // Pixels of the target.
    width: u32,
    height: u32,
    // Of the filter, in element sides, and the elements it reaches over.
    radius: f32,
    reach: u32,
    reserved: u32,
}

@group(0) @binding(0) var<uniform> settings: Settings;
// x of the elements, column by column, each column from the top down.
@group(0) @binding(1) var<storage, read> design: array<f32>;

// One triangle over the whole target.
@vertex
fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    return vec4(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn fragment(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    // at is a pixel's centre, from the upper left.
    let column = min(u32(at.x) * settings.columns / settings.width, settings.columns - 1u);
    let row = min(u32(at.y) * settings.rows / settings.height, settings.rows - 1u);
    var sum = 0.0;
    var weights = 0.0;
    let first_column = max(column, settings.reach) - settings.reach;
    let end_column = min(column + settings.reach + 1u, settings.columns);
    let first_row = max(row, settings.reach) - settings.reach;
    let end_row = min(row + settings.reach + 1u, settings.rows);
    for (var j = first_column; j < end_column; j++) {
        for (var i = first_row; i < end_row; i++) {
            let distance = length(vec2(f32(j) - f32(column), f32(i) - f32(row)));
            let weight = max(settings.radius - distance, 0.0);
            sum += weight * design[j * settings.rows + i];
            weights += weight;
        }
    }
    return vec4(vec3(1.0 - clamp(sum / weights, 0.0, 1.0)), 1.0);
}

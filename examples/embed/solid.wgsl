// A structure in space, seen from above its front right edge: each ray goes from element to element until it
// meets one whose density is above one half. The design is read where the optimizer has it and filtered here
// as `fem::DensityFilter` does on the CPU.

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
// x of the elements, along x first, then y, then z.
@group(0) @binding(1) var<storage, read> design: array<f32>;

// One triangle over the whole target.
@vertex
fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    return vec4(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn density(at: vec3<i32>, size: vec3<i32>) -> f32 {
    let reach = vec3(i32(settings.reach));
    let low = max(at - reach, vec3(0));
    let high = min(at + reach, size - 1);
    var sum = 0.0;
    var weights = 0.0;
    for (var z = low.z; z <= high.z; z++) {
        for (var y = low.y; y <= high.y; y++) {
            for (var x = low.x; x <= high.x; x++) {
                let distance = length(vec3<f32>(vec3(x, y, z) - at));
                let weight = max(settings.radius - distance, 0.0);
                sum += weight * design[x + size.x * (y + size.y * z)];
                weights += weight;
            }
        }
    }
    return sum / weights;
}

@fragment
fn fragment(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    let size = vec3<i32>(vec3(settings.columns, settings.rows, settings.layers));
    let box = vec3<f32>(size);
    let forward = normalize(vec3(-0.5, -0.45, -0.75));
    let right = normalize(cross(forward, vec3(0.0, 1.0, 0.0)));
    let up = cross(right, forward);
    // Half of what the box takes on the target, with a margin.
    let half = 0.52 * vec2(dot(abs(right), box), dot(abs(up), box));
    let target_size = vec2(f32(settings.width), f32(settings.height));
    let scale = max(2.0 * half.x / target_size.x, 2.0 * half.y / target_size.y);
    let off = scale * (pixel.xy - 0.5 * target_size);
    let origin = 0.5 * box + off.x * right - off.y * up - length(box) * forward;
    // Where the ray enters the box and leaves it; no component of its direction is 0.
    let near = -origin / forward;
    let far = (box - origin) / forward;
    let enter = max(max(min(near.x, far.x), min(near.y, far.y)), min(near.z, far.z));
    let leave = min(min(max(near.x, far.x), max(near.y, far.y)), max(near.z, far.z));
    if (enter >= leave) {
        return vec4(1.0);
    }
    var axis = select(select(0, 1, min(near.y, far.y) == enter), 2, min(near.z, far.z) == enter);
    var at = clamp(vec3<i32>(floor(origin + enter * forward)), vec3(0), size - 1);
    // The ray's parameter where it meets the next face along each axis: all directions are negative.
    var next = (vec3<f32>(at) - origin) / forward;
    for (var step = 0; step < size.x + size.y + size.z; step++) {
        let rho = density(at, size);
        if (rho > 0.5) {
            let light = vec3(0.55, 0.9, 0.72);
            return vec4(vec3(light[axis] * (1.15 - 0.35 * clamp(rho, 0.0, 1.0))), 1.0);
        }
        axis = select(select(2, 1, next.y < next.z), 0, next.x < min(next.y, next.z));
        at[axis] -= 1;
        if (at[axis] < 0) {
            break;
        }
        next[axis] = (f32(at[axis]) - origin[axis]) / forward[axis];
    }
    return vec4(1.0);
}

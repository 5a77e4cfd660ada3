// The filter with hat weights w_ij = max(0, radius - |i - j|) over elements, |i - j| being the distance of
// their centres: one over the sum of an element's weights (ROW_SUMS), weighted means (MEANS), the transpose
// of that (TRANSPOSE), or means over the larger of the element's design and a thousandth (SENSITIVITY), which
// stands in `result` before, and 0 where the density is given. A thread owns an element. Twin: fem/filter.rs,
// convolve(). Traffic per element: 12 bytes; some 40 radius^3 flops.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    mode: u32,
    // How many elements the radius reaches along each axis, and their sides.
    reach_x: u32,
    reach_y: u32,
    reach_z: u32,
    radius: f32,
    side_x: f32,
    side_y: f32,
    side_z: f32,
    has_given: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> row_inverse: array<f32>;
@group(0) @binding(3) var<storage, read> given: array<u32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

// The least design that a sensitivity is divided by.
const LEAST_DESIGN: f32 = 1e-3;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + THREADS * MOST_GROUPS * id.y;
    let size = vec3<u32>(params.nx, params.ny, params.nz);
    if (i >= size.x * size.y * size.z) {
        return;
    }
    let at = vec3<u32>(i % size.x, i / size.x % size.y, i / (size.x * size.y));
    let reach = vec3<u32>(params.reach_x, params.reach_y, params.reach_z);
    let low = at - min(at, reach);
    let high = min(at + reach, size - 1u);
    var sum = 0.0;
    for (var z = low.z; z <= high.z; z++) {
        let off_z = params.side_z * (f32(z) - f32(at.z));
        for (var y = low.y; y <= high.y; y++) {
            let off_y = params.side_y * (f32(y) - f32(at.y));
            let first = size.x * (y + size.y * z);
            for (var x = low.x; x <= high.x; x++) {
                let off_x = params.side_x * (f32(x) - f32(at.x));
                let weight = max(params.radius - sqrt(off_x * off_x + off_y * off_y + off_z * off_z), 0.0);
                let j = first + x;
                if (params.mode == FILTER_ROW_SUMS) {
                    sum += weight;
                } else if (params.mode == FILTER_TRANSPOSE) {
                    sum += weight * values[j] * row_inverse[j];
                } else {
                    sum += weight * values[j];
                }
            }
        }
    }
    if (params.mode == FILTER_ROW_SUMS) {
        result[i] = 1.0 / sum;
    } else if (params.mode == FILTER_MEANS) {
        result[i] = sum * row_inverse[i];
    } else if (params.mode == FILTER_TRANSPOSE) {
        result[i] = sum;
    } else {
        let mean = sum * row_inverse[i] / max(result[i], LEAST_DESIGN);
        result[i] = select(0.0, mean, given_of(i) == GIVEN_NONE);
    }
}

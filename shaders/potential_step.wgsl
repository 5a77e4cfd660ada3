// How far along the projected step the potential falls, and what follows from it. One workgroup. Twin: minimize() in engine/cpu/potential.rs.
struct Params {
    // Learned directions, and the curvature outside them.
    rank: u32,
    outside: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
// d.d, d.slope, Q d.
@group(0) @binding(2) var<storage, read> totals: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> curvatures: array<f32>;
// The step's share t, the coordinates Q s, and curvatures times coordinates.
@group(0) @binding(4) var<storage, read_write> model: array<f32>;

const THREADS: u32 = 64u;
var<workgroup> ended: u32;
var<workgroup> share: f32;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (thread == 0u) {
        ended = phase.ended;
        let square = totals[0].x + totals[0].y;
        let along = totals[1];
        if (ended == 0u && !(along.x + along.y < 0.0)) {
            ended = 3u;
            phase.ended = select(2u, 3u, is_finite(along.x));
        }
        if (ended == 0u) {
            var curvature = vec2<f32>(params.outside * square, 0.0);
            for (var i = 0u; i < params.rank; i++) {
                let z = totals[2u + i].x + totals[2u + i].y;
                curvature = dw_fma(curvature, curvatures[i] * z, z);
            }
            let bent = curvature.x + curvature.y;
            share = 1.0;
            phase.rate = 1.0 / params.outside;
            if (bent > 0.0) {
                share = min(-(along.x + along.y) / bent, 1.0);
                phase.rate = square / bent;
            }
            var change = dw_fma(vec2<f32>(0.0), share, along.x);
            change.y += share * along.y;
            phase.predicted = dw_add(phase.predicted, dw_add_word(change, 0.5 * share * share * bent));
            phase.steps += 1u;
            model[0] = share;
        }
    }
    if (workgroupUniformLoad(&ended) != 0u) {
        return;
    }
    for (var i = thread; i < params.rank; i += THREADS) {
        let z = model[1u + i] + share * (totals[2u + i].x + totals[2u + i].y);
        model[1u + i] = z;
        model[1u + params.rank + i] = curvatures[i] * z;
    }
}

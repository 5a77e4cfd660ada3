// What conjugate gradients decides between its passes, from the workgroups' shares of a sum: the goal at the
// start (SUM_START), the share of the last direction after r.z (SUM_PRODUCT), the step after p.K p
// (SUM_CURVATURE), the end after r.r (SUM_SQUARE). One workgroup. Twin: fem/solver.rs, solve().
struct Params {
    count: u32,
    sum: u32,
    // At the start of a solve, and of every correction in it: the square of the residual to reach, of the
    // least reduction beside it that is in force, and of the reduction from the start.
    is_first: u32,
    limit: f32,
    floor: f32,
    reduction: f32,
    // The square of the reduction that one correction makes at most.
    inner_reduction: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> state: SolveState;

var<workgroup> sums: array<vec2<f32>, THREADS>;

fn start(square: f32) {
    if (params.is_first == 1u) {
        state.goal = min(params.limit, max(params.reduction * square, params.floor));
    }
    state.square = square;
    state.start_square = square;
    // The exact residual at the end is somewhat larger than what the iterations tell.
    state.inner_goal = max(0.25 * state.goal, params.inner_reduction * square);
    state.iterations = 0u;
    state.broken = 0u;
    state.last_product = 0.0;
    // What is not a number ends the solve.
    state.done = select(1u, 0u, square > state.goal && is_finite(square));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u && params.sum != SUM_START) {
        return;
    }
    var sum = vec2<f32>(0.0);
    for (var i = thread; i < params.count; i += THREADS) {
        sum = dw_add(sum, partials[i]);
    }
    sums[thread] = sum;
    block_sum(thread);
    if (thread != 0u) {
        return;
    }
    let total = sums[0].x;
    if (params.sum == SUM_START) {
        start(total);
        return;
    }
    var broken = !is_finite(total);
    if (params.sum == SUM_SQUARE) {
        state.square = total;
        state.iterations += 1u;
        if (total <= state.inner_goal) {
            state.done = 1u;
        }
    } else {
        broken = broken || !(total > 0.0);
        if (params.sum == SUM_PRODUCT) {
            state.share = select(0.0, total / state.last_product, state.last_product > 0.0);
            state.product = total;
            state.last_product = total;
        } else {
            state.step = state.product / total;
        }
    }
    if (broken) {
        state.broken = 1u;
        state.done = 1u;
    }
}

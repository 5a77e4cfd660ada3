// The scalars of a solve by conjugate gradients, which never leave the device until the solve has ended.
// Twin: engine/gpu/shared.rs, SolveState.
struct SolveState {
    // 1: the residual is small enough, or the preconditioner was not positive definite; kernels that were
    // recorded beyond that return at once.
    done: u32,
    // 1: the preconditioner was not positive definite.
    broken: u32,
    iterations: u32,
    reserved: u32,
    // The squares of the residual's norm now, of the one to reach now, and of the one to reach in the end.
    square: f32,
    inner_goal: f32,
    goal: f32,
    // The product r.z of residual and preconditioned residual, and that of the iteration before.
    product: f32,
    last_product: f32,
    // The step along the direction, and the share of the last direction in the next one.
    step: f32,
    share: f32,
    // The square of the residual's norm at the start of the solve or of the latest correction.
    start_square: f32,
}

//! The frame loop of an application with a window.

use std::sync::Arc;
use std::time::Duration;

use lgf::wgpu;
use winit::application::ApplicationHandler;
use winit::dpi::LogicalSize;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::window::{Window, WindowId};

use crate::view::View;
use crate::{Run, begin, open};

/// The time of a frame that the optimizer gets.
const SLICE: Duration = Duration::from_millis(12);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Opens a window, so many pixels an element, and optimizes a structure of so many elements along each axis
/// in it until it is closed.
pub fn show(elements: &'static [u32], pixels: u32) -> Outcome<()> {
    let mut app = App { elements, pixels, scene: None, failed: None };
    EventLoop::new()?.run_app(&mut app)?;
    app.failed.map_or(Ok(()), Err)
}

struct App {
    elements: &'static [u32],
    pixels: u32,
    scene: Option<Scene>,
    failed: Option<Box<dyn std::error::Error>>,
}

/// The data that need the window.
struct Scene {
    window: Arc<Window>,
    surface: wgpu::Surface<'static>,
    surface_config: wgpu::SurfaceConfiguration,
    device: wgpu::Device,
    queue: wgpu::Queue,
    view: View,
    run: Run,
    done: bool,
}

impl Scene {
    fn new(events: &ActiveEventLoop, elements: &[u32], pixels: u32) -> Outcome<Self> {
        let size = LogicalSize::new(pixels * elements[0], pixels * elements[1]);
        let window = Arc::new(
            events.create_window(Window::default_attributes().with_title("lgf").with_inner_size(size))?,
        );
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let surface = instance.create_surface(window.clone())?;
        let (adapter, device, queue) = open(&instance, Some(&surface))?;
        let inner = window.inner_size();
        let mut surface_config = surface
            .get_default_config(&adapter, inner.width.max(1), inner.height.max(1))
            .ok_or("the adapter cannot draw to the window")?;
        // The format has no sRGB conversion, so greys are shown as in the pictures that the library writes.
        surface_config.format = surface_config.format.remove_srgb_suffix();
        if !surface.get_capabilities(&adapter).formats.contains(&surface_config.format) {
            surface_config.format = surface_config.format.add_srgb_suffix();
        }
        surface.configure(&device, &surface_config);
        let run = begin(&device, &queue, elements)?;
        let view = View::new(device.clone(), queue.clone(), surface_config.format, run.objective());
        window.request_redraw();
        Ok(Self { window, surface, surface_config, device, queue, view, run, done: false })
    }

    /// A slice of the run, then a picture of where it has led.
    fn frame(&mut self) -> Outcome<()> {
        if !self.done {
            if let Some(report) = self.run.step_for(SLICE)? {
                println!(
                    "compliance {:.4} after {} true evaluations: {}",
                    report.objective, report.true_evaluations, report.stop
                );
                self.done = true;
            }
            self.window.set_title(&format!(
                "lgf: compliance {:.4}, {} true evaluations",
                self.run.value(),
                self.run.true_evaluations()
            ));
        }
        match self.surface.get_current_texture() {
            wgpu::CurrentSurfaceTexture::Success(texture)
            | wgpu::CurrentSurfaceTexture::Suboptimal(texture) => {
                let target = texture.texture.create_view(&wgpu::TextureViewDescriptor::default());
                self.view.draw(
                    self.run.engine_mut(),
                    &target,
                    [self.surface_config.width, self.surface_config.height],
                )?;
                self.queue.present(texture);
            }
            wgpu::CurrentSurfaceTexture::Outdated | wgpu::CurrentSurfaceTexture::Lost => {
                self.surface.configure(&self.device, &self.surface_config)
            }
            // There is nothing to draw on at the moment.
            _ => {}
        }
        if !self.done {
            self.window.request_redraw();
        }
        Ok(())
    }
}

impl ApplicationHandler for App {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        match Scene::new(events, self.elements, self.pixels) {
            Ok(scene) => self.scene = Some(scene),
            Err(error) => self.fail(events, error),
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(scene) = &mut self.scene else { return };
        match event {
            WindowEvent::CloseRequested => events.exit(),
            WindowEvent::Resized(size) => {
                (scene.surface_config.width, scene.surface_config.height) =
                    (size.width.max(1), size.height.max(1));
                scene.surface.configure(&scene.device, &scene.surface_config);
                scene.window.request_redraw();
            }
            WindowEvent::RedrawRequested => {
                if let Err(error) = scene.frame() {
                    self.fail(events, error);
                }
            }
            _ => {}
        }
    }
}

impl App {
    fn fail(&mut self, events: &ActiveEventLoop, error: Box<dyn std::error::Error>) {
        self.failed = Some(error);
        events.exit();
    }
}

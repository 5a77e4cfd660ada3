//! The host application's side: its own device, its own pipeline, the engine's buffers.

use lgf::engine::GpuEngine;
use lgf::topology::Compliance;
use lgf::wgpu;

/// Draws the density of a run with the density filter (without passive elements and projection) straight from
/// the engine's buffers.
pub struct View {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::RenderPipeline,
    settings: wgpu::Buffer,
    /// The mesh's size in elements: columns, rows, layers; one layer in the plane.
    grid: [u32; 3],
    radius: f32,
    /// The segments of a design that has several, one after the other.
    gathered: Option<wgpu::Buffer>,
}

impl View {
    /// Sets up the pipeline for targets of `format`, on the device that the engine shares.
    pub fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        format: wgpu::TextureFormat,
        problem: &Compliance,
    ) -> Self {
        let is_solid = problem.structure().dimension() == 3;
        let module = device.create_shader_module(if is_solid {
            wgpu::include_wgsl!("solid.wgsl")
        } else {
            wgpu::include_wgsl!("density.wgsl")
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("density"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fragment"),
                compilation_options: Default::default(),
                targets: &[Some(format.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let settings = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("settings"),
            size: 32,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let (grid, radius) = (problem.mesh().size().map(|n| n as u32), problem.structure().radius as f32);
        Self { device, queue, pipeline, settings, grid, radius, gathered: None }
    }

    /// Draws the current design, after the commands that the engine has recorded, over the whole of `target`,
    /// `size` pixels. It neither waits nor reads anything back.
    pub fn draw(
        &mut self,
        engine: &mut GpuEngine,
        target: &wgpu::TextureView,
        size: [u32; 2],
    ) -> lgf::Result<()> {
        // The commands that the engine has recorded are submitted first.
        engine.flush()?;
        let words = [
            self.grid[0],
            self.grid[1],
            self.grid[2],
            size[0],
            size[1],
            self.radius.to_bits(),
            (self.radius.ceil() as u32).saturating_sub(1),
            0,
        ];
        self.queue.write_buffer(&self.settings, 0, bytemuck::cast_slice(&words));
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut segments = engine.design();
        let (first, rest) = (segments.next(), segments.next());
        let design = match (first, rest) {
            (Some(all), None) => all.buffer.clone(),
            // The filter reaches across the segments, so they are copied side by side, on the device.
            _ => {
                let gathered = self.gathered.get_or_insert_with(|| {
                    self.device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some("design"),
                        size: 4 * self.grid.iter().map(|n| u64::from(*n)).product::<u64>(),
                        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                        mapped_at_creation: false,
                    })
                });
                for s in engine.design() {
                    encoder.copy_buffer_to_buffer(
                        s.buffer,
                        0,
                        gathered,
                        4 * s.start as u64,
                        4 * s.len as u64,
                    );
                }
                gathered.clone()
            }
        };
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("density"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.settings.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: design.as_entire_binding() },
            ],
        });
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("density"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::WHITE),
                    store: wgpu::StoreOp::Store,
                },
            })],
            depth_stencil_attachment: None,
            timestamp_writes: None,
            occlusion_query_set: None,
            multiview_mask: None,
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
        drop(pass);
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// The same picture as an array of greys, `scale`×`scale` pixels an element in the plane and about as
    /// many in space, row by row from the top: its width and its pixels.
    pub fn picture(
        &mut self,
        engine: &mut GpuEngine,
        scale: u32,
    ) -> Result<(u32, Vec<u8>), Box<dyn std::error::Error>> {
        let [columns, rows, layers] = self.grid;
        let depth = layers - 1;
        let [width, height] = [scale * (columns + depth), scale * (rows + depth)];
        let extent = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
        let texture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: extent,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        self.draw(engine, &texture.create_view(&wgpu::TextureViewDescriptor::default()), [width, height])?;
        let stride = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size: u64::from(stride) * u64::from(height),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(stride), rows_per_image: None };
        encoder.copy_texture_to_buffer(
            texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &buffer, layout },
            extent,
        );
        self.queue.submit([encoder.finish()]);
        let (sender, receiver) = std::sync::mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, .., move |outcome| drop(sender.send(outcome)));
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??;
        let bytes = buffer.get_mapped_range(..)?;
        let grey = bytes
            .chunks_exact(stride as usize)
            .flat_map(|row| row[..4 * width as usize].chunks_exact(4).map(|pixel| pixel[0]))
            .collect();
        Ok((width, grey))
    }
}

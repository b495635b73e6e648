//! A camera without a window: one call, one complete picture.

use crate::viewer::arguments::PictureSize;
use crate::viewer::attempt::{attempt, gist};
use crate::viewer::error::ViewerError;
use crate::viewer::orbit::Orbit;
use crate::viewer::overlay::{self, Overlay};
use crate::viewer::picture::Picture;
use crate::viewer::studio::{self, Subject};
use bevy::app::PluginsState;
use bevy::camera::RenderTarget;
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_asset::RenderAssets;
use bevy::render::render_resource::{
    BufferDescriptor, BufferUsages, CommandEncoderDescriptor, Extent3d, MapMode, PollType, TexelCopyBufferInfo,
    TexelCopyBufferLayout, TextureFormat, TextureUsages,
};
use bevy::render::renderer::{RenderDevice, RenderQueue};
use bevy::render::settings::{Backends, RenderCreation, WgpuSettings};
use bevy::render::texture::GpuImage;
use bevy::render::{RenderApp, RenderPlugin};
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;

/// Shaders load in the background; the camera is ready when the motionless subject looks alike this many times.
const N_ALIKE: usize = 3;
/// Height of the text over the picture's.
const FONT_SHARE: f32 = 0.04;
/// So many pictures and still no two alike: something is wrong.
const MAX_WARM_UP: usize = 300;

/// A camera without a window.
pub struct Offscreen {
    app: App,
    target: Handle<Image>,
    size: PictureSize,
}

impl Offscreen {
    /// Sets up a studio around `subject`, filmed from `view`, and waits until everything is drawn.
    ///
    /// # Errors
    /// [`ViewerError::NoRenderer`] when there is no graphics driver.
    pub fn new(size: PictureSize, view: Orbit, subject: Subject, overlay: Overlay) -> Result<Self, ViewerError> {
        let mut camera = attempt(|| Self::build(size, view, subject, overlay)).map_err(|said| {
            let reason = format!(
                "there is nothing to draw with ({}); Debian's packages libvulkan1 and mesa-vulkan-drivers bring a \
                 driver that needs no graphics card",
                gist(&said)
            );
            ViewerError::NoRenderer { reason }
        })?;
        camera.warm_up()?;
        Ok(camera)
    }

    /// Shows `subject` to the camera and takes the picture, with `overlay` over it.
    ///
    /// # Errors
    /// When the renderer fails.
    pub fn shoot(&mut self, subject: Subject, overlay: Overlay) -> Result<Picture, ViewerError> {
        self.app.insert_resource(subject);
        // Bevy draws lines one picture late.
        let is_late = overlay.has_lines();
        self.app.insert_resource(overlay);
        if is_late {
            self.draw()?;
        }
        self.draw()
    }

    fn build(size: PictureSize, view: Orbit, subject: Subject, overlay: Overlay) -> Self {
        let plugins = DefaultPlugins
            .set(WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() })
            .set(RenderPlugin {
                synchronous_pipeline_compilation: true,
                render_creation: RenderCreation::Automatic(Box::new(WgpuSettings {
                    backends: Some(Backends::PRIMARY),
                    ..default()
                })),
                ..default()
            })
            // Every update draws what was posed in it, not what was posed before.
            .disable::<PipelinedRenderingPlugin>()
            .disable::<WinitPlugin>()
            .disable::<LogPlugin>();
        let mut app = App::new();
        app.add_plugins(plugins);

        let (width, height) = (u32::from(size.width), u32::from(size.height));
        let mut image = Image::new_target_texture(width, height, TextureFormat::Rgba8UnormSrgb, None);
        image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
        let target = app.world_mut().resource_mut::<Assets<Image>>().add(image);
        app.world_mut().spawn((studio::camera(&view), IsDefaultUiCamera, RenderTarget::Image(target.clone().into())));
        studio::furnish(&mut app, subject);
        overlay::lay_over(&mut app, overlay, FONT_SHARE * f32::from(size.height));

        while app.plugins_state() == PluginsState::Adding {
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();
        Self { app, target, size }
    }

    fn warm_up(&mut self) -> Result<(), ViewerError> {
        let mut before: Option<Picture> = None;
        let mut n_alike = 0;
        for _ in 0..MAX_WARM_UP {
            let picture = self.draw()?;
            n_alike = if before.as_ref() == Some(&picture) && !picture.is_blank() { n_alike + 1 } else { 0 };
            if n_alike == N_ALIKE {
                return Ok(());
            }
            before = Some(picture);
        }
        Err(ViewerError::Renderer { reason: format!("{MAX_WARM_UP} pictures of a motionless scene all differ") })
    }

    fn draw(&mut self) -> Result<Picture, ViewerError> {
        attempt(|| {
            self.app.update();
            self.read_back()
        })
        .unwrap_or_else(Err)
        .map_err(|reason| ViewerError::Renderer { reason })
    }

    /// Copies the target out of the renderer, once it has drawn everything that it was given.
    fn read_back(&self) -> Result<Picture, String> {
        let world = self.app.sub_app(RenderApp).world();
        let image = world.resource::<RenderAssets<GpuImage>>().get(&self.target).ok_or("the picture was not drawn")?;
        let (device, queue) = (world.resource::<RenderDevice>(), world.resource::<RenderQueue>());

        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        let padded_row_bytes = RenderDevice::align_copy_bytes_per_row(4 * width);
        let buffer = device.create_buffer(&BufferDescriptor {
            label: Some("picture"),
            size: (padded_row_bytes * height) as u64,
            usage: BufferUsages::COPY_DST | BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&CommandEncoderDescriptor::default());
        let layout =
            TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(padded_row_bytes as u32), rows_per_image: None };
        let extent = Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
        encoder.copy_texture_to_buffer(
            image.texture.as_image_copy(),
            TexelCopyBufferInfo { buffer: &buffer, layout },
            extent,
        );
        queue.submit([encoder.finish()]);

        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let slice = buffer.slice(..);
        device.map_buffer(&slice, MapMode::Read, move |mapped| drop(sender.send(mapped)));
        device.poll(PollType::wait_indefinitely()).map_err(|error| error.to_string())?;
        receiver.recv().map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let rows = slice.get_mapped_range();
        let rgba = rows.chunks_exact(padded_row_bytes).flat_map(|row| &row[..4 * width]).copied().collect();
        Ok(Picture { width: self.size.width, height: self.size.height, rgba })
    }
}

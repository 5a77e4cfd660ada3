//! Compiled pipelines, kept in a file from run to run where the device hands them out (`PIPELINE_CACHE`:
//! Vulkan).

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A device's compiled pipelines and the file they come from and go to.
///
/// The file is this library's own: a digest, then what wgpu gave. Whatever is not as it was written, or was
/// written for another device, driver or version of wgpu, is left out, and the pipelines are compiled as they
/// would be without it. Nothing about it is an error: it can only save time.
#[derive(Debug)]
pub(crate) struct PipelineCache {
    pub(crate) raw: wgpu::PipelineCache,
    file: PathBuf,
    /// Of what was read.
    digest: u64,
}

impl PipelineCache {
    /// That of `device` in `folder`; none if the device does not hand its pipelines out.
    pub(crate) fn open(device: &wgpu::Device, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = folder.join(wgpu::util::pipeline_cache_key(&device.adapter_info())?);
        let data = read(&file);
        let descriptor = wgpu::PipelineCacheDescriptor {
            label: Some("lgf.pipelines"),
            data: data.as_deref(),
            fallback: true,
        };
        #[expect(unsafe_code, reason = "wgpu cannot see where the bytes come from")]
        // SAFETY: the data must be what `get_data` gave, for this device or another one, which wgpu's header
        // in it tells apart. Only `save` writes this file, whole or not at all, and the digest tells whether
        // anything has changed it since by accident. That nobody does on purpose is what a folder of the
        // user's own stands for: who can write there can replace the program as well.
        let raw = unsafe { device.create_pipeline_cache(&descriptor) };
        let digest = data.map_or(0, |data| digest(&data));
        log::debug!("compiled pipelines are kept in {}", file.display());
        Some(Self { raw, file, digest })
    }

    /// Where they are kept.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Writes what has been compiled, if that is more than what was read: beside the file first, then in its
    /// place.
    fn save(&self) -> Result<()> {
        let Some(data) = self.raw.get_data().filter(|data| digest(data) != self.digest) else {
            return Ok(());
        };
        let error = |e| Error::io(&self.file, e);
        let beside = self.file.with_extension(format!("{}", std::process::id()));
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder).map_err(error)?;
        }
        let bytes = [&digest(&data).to_le_bytes()[..], &data].concat();
        std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &self.file)).map_err(|e| {
            let _ = std::fs::remove_file(&beside);
            error(e)
        })
    }
}

impl Drop for PipelineCache {
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            log::debug!("compiled pipelines were not kept: {error}");
        }
    }
}

/// What `save` wrote; none if it is not there or not whole.
pub(super) fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (written, data) = bytes.split_first_chunk()?;
    (u64::from_le_bytes(*written) == digest(data)).then(|| data.to_vec())
}

fn digest(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    hasher.finish()
}

//! Screenshots that are checked: what an agent sends is decoded before anyone believes it.

use std::fmt;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use thiserror::Error;

use super::Size;

/// The longest side that is taken, in pixels (plato-api §8.3).
const MAX_SIDE: u32 = 8000;

/// The most that a picture may need in memory, in bytes.
const MAX_MEMORY: u64 = 512 << 20;

/// The first bytes of every PNG.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A picture that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The agent sent none.
    #[error("the desktop sent no picture: is its agent up? `wait_until_ready` waits for it")]
    Missing,
    /// It is not base64.
    #[error("the desktop's picture is not base64")]
    NotBase64,
    /// It is another kind of file.
    #[error("the desktop's picture is not a PNG")]
    NotPng,
    /// It is broken.
    #[error("the desktop's picture is a broken PNG ({0}): take another one")]
    Broken(String),
    /// Its sides are too long.
    #[error("the desktop's picture has {0} pixels, more than 8000 on a side: set a smaller resolution")]
    TooLarge(Size),
    /// It cannot be written in another form.
    #[error("the picture cannot be written: {0}")]
    Unwritable(String),
}

/// A picture of a screen: a PNG whose every byte was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Screenshot {
    png: Vec<u8>,
    size: Size,
}

impl Screenshot {
    /// Takes a PNG, if it is one: signature, checksums, compression and size are checked.
    ///
    /// ```
    /// use plato_sdk::{PictureError, Screenshot};
    ///
    /// assert_eq!(Screenshot::from_png(b"GIF89a".to_vec()).unwrap_err(), PictureError::NotPng);
    /// ```
    ///
    /// # Errors
    /// [`PictureError`], when it is none.
    pub fn from_png(png: Vec<u8>) -> Result<Self, PictureError> {
        let image = decode(&png)?;
        Ok(Self { size: Size::new(image.width(), image.height()), png })
    }

    pub(super) fn from_base64(text: &str) -> Result<Self, PictureError> {
        // Some write line breaks into it, or say what it is.
        let text = text.trim();
        let text = text.strip_prefix("data:image/png;base64,").unwrap_or(text);
        let png = BASE64.decode(text).map_err(|_| PictureError::NotBase64)?;
        Self::from_png(png)
    }

    /// The PNG.
    pub fn png(&self) -> &[u8] {
        &self.png
    }

    /// The PNG, without a copy.
    pub fn into_png(self) -> Vec<u8> {
        self.png
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Scales the picture, as a PNG.
    ///
    /// # Errors
    /// When a side would be zero or too long.
    pub fn resized(&self, size: Size) -> Result<Self, PictureError> {
        if size == self.size {
            return Ok(self.clone());
        }
        let image = self.scaled(size)?;
        Ok(Self { png: png(&image)?, size })
    }

    /// Encodes the picture as a JPEG of a quality from 1 to 100, scaled if a size is given.
    ///
    /// # Errors
    /// When a side would be zero or too long.
    pub fn to_jpeg(&self, quality: u8, size: Option<Size>) -> Result<Vec<u8>, PictureError> {
        jpeg(self.scaled(size.unwrap_or(self.size))?, quality)
    }

    fn scaled(&self, size: Size) -> Result<DynamicImage, PictureError> {
        scaled(&self.image()?, size)
    }

    /// Decodes the picture.
    pub(crate) fn image(&self) -> Result<DynamicImage, PictureError> {
        decode(&self.png)
    }
}

impl fmt::Debug for Screenshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Screenshot({}, {} bytes)", self.size, self.png.len())
    }
}

/// A picture in another size.
pub(crate) fn scaled(image: &DynamicImage, size: Size) -> Result<DynamicImage, PictureError> {
    if size.width == 0 || size.height == 0 {
        return Err(PictureError::Unwritable(format!("{size} is no size")));
    }
    if size.width.max(size.height) > MAX_SIDE {
        return Err(PictureError::TooLarge(size));
    }
    if size == Size::new(image.width(), image.height()) {
        return Ok(image.clone());
    }
    Ok(image.resize_exact(size.width, size.height, FilterType::Triangle))
}

/// A picture as a JPEG.
pub(crate) fn jpeg(image: DynamicImage, quality: u8) -> Result<Vec<u8>, PictureError> {
    let mut jpeg = Vec::new();
    image
        .into_rgb8()
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, quality.clamp(1, 100)))
        .map_err(|error| PictureError::Unwritable(error.to_string()))?;
    Ok(jpeg)
}

fn decode(png: &[u8]) -> Result<DynamicImage, PictureError> {
    if !png.starts_with(SIGNATURE) {
        return Err(PictureError::NotPng);
    }
    let broken = |error: image::ImageError| PictureError::Broken(error.to_string());
    let reader = || ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
    let (width, height) = reader().into_dimensions().map_err(broken)?;
    if width.max(height) > MAX_SIDE {
        return Err(PictureError::TooLarge(Size::new(width, height)));
    }
    let mut reader = reader();
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    reader.decode().map_err(broken)
}

/// A picture as a PNG: fast rather than small.
pub(crate) fn png(image: &DynamicImage) -> Result<Vec<u8>, PictureError> {
    let mut png = Vec::new();
    image
        .write_with_encoder(PngEncoder::new_with_quality(
            &mut png,
            CompressionType::Fast,
            PngFilter::Adaptive,
        ))
        .map_err(|error| PictureError::Unwritable(error.to_string()))?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn sample(width: u32, height: u32) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]));
        png(&DynamicImage::ImageRgb8(image)).unwrap()
    }

    #[test]
    fn every_byte_of_a_picture_counts() {
        let good = sample(64, 48);
        assert_eq!(Screenshot::from_png(good.clone()).unwrap().size(), Size::new(64, 48));
        // What follows the end of the picture is nobody's, and the checksum of the end is that of no data.
        for index in 0..good.len() - 12 {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            Screenshot::from_png(bad).unwrap_err();
        }
        for length in 0..good.len() - 12 {
            Screenshot::from_png(good[..length].to_vec()).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_picture_is_told_by_what_it_is() {
        assert_eq!(Screenshot::from_base64("§").unwrap_err(), PictureError::NotBase64);
        assert_eq!(Screenshot::from_base64("").unwrap_err(), PictureError::NotPng);
        assert_eq!(Screenshot::from_png(b"\xff\xd8\xff".to_vec()).unwrap_err(), PictureError::NotPng);
        let wide = sample(8001, 1);
        assert_eq!(Screenshot::from_png(wide).unwrap_err(), PictureError::TooLarge(Size::new(8001, 1)));
        let text = format!("data:image/png;base64,{}\n", BASE64.encode(sample(2, 2)));
        assert_eq!(Screenshot::from_base64(&text).unwrap().size(), Size::new(2, 2));
    }

    #[test]
    fn a_picture_is_made_smaller_and_into_a_jpeg() {
        let shot = Screenshot::from_png(sample(64, 48)).unwrap();
        let small = shot.resized(Size::new(32, 24)).unwrap();
        assert_eq!(Screenshot::from_png(small.into_png()).unwrap().size(), Size::new(32, 24));
        let jpeg = shot.to_jpeg(80, Some(Size::new(16, 12))).unwrap();
        let read = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap();
        assert_eq!((read.width(), read.height()), (16, 12));
        shot.resized(Size::new(0, 1)).unwrap_err();
    }
}

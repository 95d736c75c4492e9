//! Making a picture fit: into the bytes that a result may have.

use crate::desktop::{PictureError, Screenshot, Size, jpeg, scaled};

/// The steps by which a picture is reduced: first its quality, then its size.
const QUALITIES: [u8; 3] = [85, 70, 50];
const SHARES: [(u32, u32); 5] = [(3, 4), (1, 2), (3, 8), (1, 4), (1, 8)];

/// The quality of a picture that lost its size already.
const SMALL_QUALITY: u8 = 70;

/// A picture as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fitted {
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) size: Size,
    /// A note for the model about the reduction.
    pub(super) note: Option<String>,
}

/// Makes a picture of at most `target` size whose base64 has at most `budget` bytes: as a PNG, else as a JPEG, else
/// smaller. Nothing when it does not even fit then.
pub(super) fn fit(picture: &Screenshot, target: Size, budget: usize) -> Result<Option<Fitted>, PictureError> {
    let real = picture.size();
    let fits = |bytes: &[u8]| bytes.len().div_ceil(3) * 4 <= budget;
    let whole = picture.resized(target)?;
    let smaller = (target != real).then(|| scaled_to(target, real));
    if fits(whole.png()) {
        let bytes = whole.into_png();
        return Ok(Some(Fitted { media_type: "image/png", bytes, size: target, note: smaller }));
    }
    // The picture is decoded once: it may be large, and is looked at in up to eight ways.
    let whole = whole.image()?;
    let fitted = |bytes, size, note| Fitted { media_type: "image/jpeg", bytes, size, note: Some(note) };
    for quality in QUALITIES {
        let bytes = jpeg(whole.clone(), quality)?;
        if fits(&bytes) {
            let lossy = "The picture is a JPEG, to fit into the result.".to_owned();
            let note = smaller.map_or_else(|| lossy.clone(), |smaller| format!("{lossy} {smaller}"));
            return Ok(Some(fitted(bytes, target, note)));
        }
    }
    for (part, of) in SHARES {
        let size = Size::new((target.width * part / of).max(1), (target.height * part / of).max(1));
        let bytes = jpeg(scaled(&whole, size)?, SMALL_QUALITY)?;
        if fits(&bytes) {
            let note =
                format!("The picture is a smaller JPEG, to fit into the result. {}", scaled_to(size, real));
            return Ok(Some(fitted(bytes, size, note)));
        }
    }
    Ok(None)
}

/// The note for a model about a picture that is smaller than the screen.
fn scaled_to(size: Size, real: Size) -> String {
    format!("It is {size}, of a screen of {real}: give points on the picture, they are scaled.")
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, Rgb, RgbImage};

    use super::*;

    /// A picture that does not compress.
    fn noise(width: u32, height: u32) -> Screenshot {
        let mut random = fastrand::Rng::with_seed(7);
        let image =
            RgbImage::from_fn(width, height, |_, _| Rgb([random.u8(..), random.u8(..), random.u8(..)]));
        let mut png = std::io::Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(image).write_to(&mut png, image::ImageFormat::Png).unwrap();
        Screenshot::from_png(png.into_inner()).unwrap()
    }

    #[test]
    fn a_picture_loses_only_as_much_as_it_has_to() {
        let picture = noise(256, 192);
        let whole = picture.size();
        let mut seen = Vec::new();
        for budget in [400_000, 100_000, 70_000, 40_000, 25_000, 12_000, 6_000, 2_000] {
            let fitted = fit(&picture, whole, budget).unwrap().unwrap();
            assert!(fitted.bytes.len().div_ceil(3) * 4 <= budget, "{budget}");
            assert_eq!(fitted.note.is_none(), fitted.media_type == "image/png");
            let is_smaller = fitted.size != whole;
            assert_eq!(
                is_smaller,
                fitted.note.as_ref().is_some_and(|note| note.contains("256x192")),
                "{fitted:?}"
            );
            seen.push((fitted.media_type, fitted.size.width));
        }
        assert_eq!(seen[0], ("image/png", 256));
        assert!(seen.contains(&("image/jpeg", 256)) && seen.contains(&("image/jpeg", 64)), "{seen:?}");
        assert!(seen.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{seen:?}");
        assert_eq!(fit(&picture, whole, 100).unwrap(), None);
    }

    #[test]
    fn a_picture_for_a_smaller_screen_says_so() {
        let fitted = fit(&noise(64, 48), Size::new(32, 24), 1 << 20).unwrap().unwrap();
        assert_eq!((fitted.media_type, fitted.size), ("image/png", Size::new(32, 24)));
        assert!(fitted.note.unwrap().contains("32x24, of a screen of 64x48"));
    }
}

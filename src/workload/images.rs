//! The images of prompts: black JPEGs of the asked-for sizes, made once before the run.
//! It puts them into no text.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType};

use super::Resolution;
use super::error::WorkloadError;

/// JPEG quality, of 100. Black looks the same at any.
const QUALITY: u8 = 75;
/// Black in a JPEG's own colours: brightness, and two colours that are in the middle for none.
const BLACK: [u8; 3] = [0, 128, 128];

/// A black image of any size, without its pixels in memory.
struct Black {
    width: u16,
    height: u16,
}

impl ImageBuffer for Black {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, _row: u16, buffers: &mut [Vec<u8>; 4]) {
        for (buffer, value) in buffers.iter_mut().zip(BLACK) {
            buffer.resize(buffer.len() + usize::from(self.width), value);
        }
    }
}

/// One `data:` URI for each size; equal sizes share theirs.
pub(super) fn make(sizes: &[Resolution]) -> Result<Vec<Arc<str>>, WorkloadError> {
    let mut made: Vec<(Resolution, Arc<str>)> = Vec::new();
    for size in sizes {
        let known = made.iter().find(|(of, _)| of == size);
        let uri = match known {
            Some((_, uri)) => uri.clone(),
            None => data_uri(*size)?,
        };
        made.push((*size, uri));
    }
    Ok(made.into_iter().map(|(_, uri)| uri).collect())
}

fn data_uri(size: Resolution) -> Result<Arc<str>, WorkloadError> {
    let Resolution { width, height } = size;
    let wrong = || WorkloadError::ImageSize { width, height };
    let side = |pixels: u32| u16::try_from(pixels).ok().filter(|pixels| *pixels > 0);
    let image = Black {
        width: side(width).ok_or_else(wrong)?,
        height: side(height).ok_or_else(wrong)?,
    };
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, QUALITY)
        .encode_image(image)
        .map_err(|_| wrong())?;
    let mut uri = "data:image/jpeg;base64,".to_owned();
    STANDARD.encode_string(bytes, &mut uri);
    Ok(uri.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Resolution {
        Resolution { width, height }
    }

    /// What the header of the first frame says: height and width in pixels, and the number of colours.
    fn frame(bytes: &[u8]) -> (u16, u16, u8) {
        let mut at = 2;
        loop {
            let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            if bytes[at + 1] == 0xC0 {
                let number = |at| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                return (number(at + 5), number(at + 7), bytes[at + 9]);
            }
            at += 2 + length;
        }
    }

    #[test]
    fn an_image_is_a_jpeg_of_the_asked_size_in_colour() {
        for (width, height) in [(1, 1), (512, 768), (33, 7)] {
            let uri = &make(&[size(width, height)]).unwrap()[0];
            let text = uri.strip_prefix("data:image/jpeg;base64,").unwrap();
            let bytes = STANDARD.decode(text).unwrap();
            assert_eq!(
                (&bytes[..2], &bytes[bytes.len() - 2..]),
                (&[0xFF, 0xD8][..], &[0xFF, 0xD9][..])
            );
            let found = frame(&bytes);
            assert_eq!(
                (u32::from(found.1), u32::from(found.0), found.2),
                (width, height, 3)
            );
        }
    }

    #[test]
    fn equal_sizes_share_one_image_and_impossible_ones_are_refused() {
        let images = make(&[size(8, 8), size(16, 8), size(8, 8)]).unwrap();
        assert!(Arc::ptr_eq(&images[0], &images[2]) && images[0] != images[1]);
        for (width, height) in [(0, 8), (8, 65_536)] {
            let error = make(&[size(width, height)]).unwrap_err();
            assert_eq!(error, WorkloadError::ImageSize { width, height });
        }
    }
}

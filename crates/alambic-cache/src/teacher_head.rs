//! The teacher's head, which makes distributions of hidden states.

use sha2::{Digest, Sha256};

use crate::{CacheError, HeadFingerprint, teacher_head_file};

/// The teacher's output projection, on the host: hidden state to logits.
///
/// With the state `h`, the weight `W` of one row for each token, the scale `s` and the soft-cap `c`
/// the logits are `z = c · tanh(s W h ÷ c)`, or `z = s W h` without a soft-cap. A cache of hidden states
/// holds it once, in `teacher-head.safetensors`.
///
/// ```
/// use alambic_cache::TeacherHead;
/// // Two tokens, states of three numbers.
/// let head = TeacherHead::try_new(vec![1.0, 0.0, 2.0, 0.0, -1.0, 0.5], 2, 3)?
///     .with_logit_softcap(30.0)?;
/// assert_eq!(head.weight()[3..], [0.0, -1.0, 0.5]); // of the second token
/// assert_eq!((head.logit_scale(), head.logit_softcap()), (1.0, Some(30.0)));
/// # Ok::<(), alambic_cache::CacheError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherHead {
    weight: Vec<f32>,
    vocab_size: usize,
    width: usize,
    logit_scale: f64,
    logit_softcap: Option<f64>,
}

impl TeacherHead {
    /// A head of the weight `[vocab_size, width]`, without scale or soft-cap.
    ///
    /// # Errors
    /// [`CacheError::InvalidTeacherHead`] for a weight that is empty, of another length, or not finite.
    ///
    /// ```
    /// use alambic_cache::TeacherHead;
    /// let message = TeacherHead::try_new(vec![1.0; 5], 2, 3).unwrap_err().to_string();
    /// assert_eq!(message, "teacher's head: weight should be 6 numbers for 2 tokens by 3, found 5");
    /// ```
    pub fn try_new(weight: Vec<f32>, vocab_size: usize, width: usize) -> Result<Self, CacheError> {
        let size = vocab_size.checked_mul(width).filter(|&size| size > 0);
        if size != Some(weight.len()) {
            let size = size.map_or("as many".to_owned(), |size| size.to_string());
            return Err(CacheError::InvalidTeacherHead {
                field: "weight",
                expected: format!("{size} numbers for {vocab_size} tokens by {width}"),
                found: weight.len().to_string(),
            });
        }
        if let Some(i) = weight.iter().position(|number| !number.is_finite()) {
            return Err(CacheError::InvalidTeacherHead {
                field: "weight",
                expected: "finite everywhere".into(),
                found: format!("{} at [{}][{}]", weight[i], i / width, i % width),
            });
        }
        Ok(Self {
            weight,
            vocab_size,
            width,
            logit_scale: 1.0,
            logit_softcap: None,
        })
    }

    /// Multiplies the logits (Cohere's models).
    ///
    /// # Errors
    /// [`CacheError::InvalidTeacherHead`] unless the scale is finite and above 0.
    ///
    /// ```
    /// use alambic_cache::TeacherHead;
    /// let head = TeacherHead::try_new(vec![1.0], 1, 1)?;
    /// assert!(head.with_logit_scale(0.0).is_err());
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn with_logit_scale(self, scale: f64) -> Result<Self, CacheError> {
        check_positive("logit_scale", scale)?;
        Ok(Self {
            logit_scale: scale,
            ..self
        })
    }

    /// Keeps the logits between `-cap` and `cap` (Gemma 2).
    ///
    /// # Errors
    /// [`CacheError::InvalidTeacherHead`] unless the cap is finite and above 0.
    ///
    /// ```
    /// use alambic_cache::TeacherHead;
    /// let head = TeacherHead::try_new(vec![1.0], 1, 1)?;
    /// assert!(head.with_logit_softcap(f64::NAN).is_err());
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn with_logit_softcap(self, cap: f64) -> Result<Self, CacheError> {
        check_positive("logit_softcap", cap)?;
        Ok(Self {
            logit_softcap: Some(cap),
            ..self
        })
    }

    /// `[vocab_size, width]`, row-major.
    ///
    /// ```
    /// # use alambic_cache::TeacherHead;
    /// assert_eq!(TeacherHead::try_new(vec![1.0, 2.0], 2, 1)?.weight(), [1.0, 2.0]);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// Tokens that it gives logits of.
    ///
    /// ```
    /// # use alambic_cache::TeacherHead;
    /// assert_eq!(TeacherHead::try_new(vec![1.0, 2.0], 2, 1)?.vocab_size(), 2);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Numbers of a state that it reads.
    ///
    /// ```
    /// # use alambic_cache::TeacherHead;
    /// assert_eq!(TeacherHead::try_new(vec![1.0, 2.0], 2, 1)?.width(), 1);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn width(&self) -> usize {
        self.width
    }

    /// What the product of weight and state is multiplied with.
    ///
    /// ```
    /// # use alambic_cache::TeacherHead;
    /// assert_eq!(TeacherHead::try_new(vec![1.0, 2.0], 2, 1)?.logit_scale(), 1.0);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn logit_scale(&self) -> f64 {
        self.logit_scale
    }

    /// What bounds the logits, if anything does.
    ///
    /// ```
    /// # use alambic_cache::TeacherHead;
    /// assert_eq!(TeacherHead::try_new(vec![1.0, 2.0], 2, 1)?.logit_softcap(), None);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn logit_softcap(&self) -> Option<f64> {
        self.logit_softcap
    }

    /// SHA-256 over the head's file, of which equal heads have equal bytes.
    ///
    /// ```
    /// # use alambic_cache::TeacherHead;
    /// let head = TeacherHead::try_new(vec![1.0, 2.0], 2, 1)?;
    /// assert!(head.fingerprint().to_string().starts_with("3b8dd90723e0503d"));
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn fingerprint(&self) -> HeadFingerprint {
        let mut hash = Sha256::new();
        teacher_head_file::for_each_piece(self, |piece| {
            hash.update(piece);
            Ok::<_, std::convert::Infallible>(())
        })
        .unwrap_or_else(|never| match never {});
        HeadFingerprint::from_bytes(hash.finalize().into())
    }
}

fn check_positive(field: &'static str, found: f64) -> Result<(), CacheError> {
    if found.is_finite() && found > 0.0 {
        return Ok(());
    }
    Err(CacheError::InvalidTeacherHead {
        field,
        expected: "finite and above 0".into(),
        found: found.to_string(),
    })
}

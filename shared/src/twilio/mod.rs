//! Twilio wire formats (work in progress).

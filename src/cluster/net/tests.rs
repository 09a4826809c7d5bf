//! Strangers at the door of a real master on loopback.

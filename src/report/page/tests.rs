//! What stands on the page of small runs.

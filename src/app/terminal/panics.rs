//! A panic, in any thread, gives the terminal back before its words are written: they are to be read, and whoever comes next
//! is to have a terminal. What becomes of the run is not decided here.

use std::panic::{set_hook, take_hook};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use super::glass::Glass;

/// The one terminal that this process shows something on.
static SHOWN_ON: Mutex<Weak<Glass>> = Mutex::new(Weak::new());
static HOOKED: Once = Once::new();

/// From now on a panic gives this terminal back.
pub(super) fn guard(glass: &Arc<Glass>) {
    *SHOWN_ON.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(glass);
    HOOKED.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |what| {
            if let Some(glass) = shown_on() {
                glass.break_off();
            }
            usual(what);
        }));
    });
}

fn shown_on() -> Option<Arc<Glass>> {
    let shown_on = SHOWN_ON.lock().unwrap_or_else(PoisonError::into_inner);
    shown_on.upgrade()
}

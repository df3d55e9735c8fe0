//! The real `khctl`, as a person or a script runs it.

// `cfg(test)` tells clippy that helpers are tests too, where unwrapping is fine.
#[cfg(test)]
mod cli {
    mod check;
    mod demo;
    mod general;
    mod run;
    mod support;
}

//! The guest's stack, as it is in the text of an error.
//!
//! The host names the functions of a trap behind its cause, `wasm trap: … in price (lib.rs:12) < handle`. The SDKs of
//! JavaScript and Python put a line for each call under the message. Nothing else in a text is taken for a stack.

/// How a trap's cause begins in the text of an error. What the component wrote itself comes before it.
const CAUSES: [&str; 3] = [
    "wasm trap: ",
    "the component exited with ",
    "a string that it handed to the host is not Unicode text: ",
];

/// Between two functions of a trap.
const BETWEEN: &str = " < ";

/// How names of functions begin that languages call on their way from a failure to its trap.
const OF_THE_RUNTIME: [&str; 9] = [
    "abort",
    "__rust",
    "rust_",
    "_rust",
    "core::panicking",
    "core::option::",
    "core::result::",
    "std::",
    "_Exit",
];

/// The calls of the component that an error names, from the innermost; empty where it names none.
pub fn guest_stack(error: &str) -> Vec<String> {
    let trapped = of_trap(error);
    if !trapped.is_empty() {
        return trapped;
    }
    // A cause has a stack of its own, below that of the error.
    let own = error
        .lines()
        .take_while(|line| !line.starts_with("caused by "));
    let mut calls: Vec<String> = own.clone().filter_map(of_javascript).collect();
    if calls.is_empty() {
        calls = own.filter_map(of_python).collect();
        // The innermost comes last there.
        calls.reverse();
    }
    calls
}

/// The innermost call that is not the language's own; the innermost of all if each is.
pub fn top_frame(stack: &[String]) -> Option<&str> {
    let is_own = |call: &&String| {
        let name = call.trim_start_matches('<');
        !OF_THE_RUNTIME.iter().any(|begin| name.starts_with(begin))
    };
    let own = stack.iter().find(is_own).or(stack.first());
    own.map(String::as_str)
}

fn of_trap(error: &str) -> Vec<String> {
    let causes = CAUSES.iter().filter_map(|cause| error.rfind(cause));
    let Some((_, functions)) = causes
        .max()
        .and_then(|begin| error[begin..].split_once(" in "))
    else {
        return Vec::new();
    };
    let line = functions.lines().next().unwrap_or_default();
    line.split(BETWEEN).map(str::to_owned).collect()
}

/// `    at price (orders.js:12:9)`
fn of_javascript(line: &str) -> Option<String> {
    let call = line.strip_prefix("    at ")?;
    (!call.is_empty()).then(|| call.to_owned())
}

/// `  File "orders.py", line 12, in price`
fn of_python(line: &str) -> Option<String> {
    let (file, rest) = line.strip_prefix("  File \"")?.split_once("\", line ")?;
    let (number, function) = rest.split_once(", in ")?;
    Some(format!("{function} ({file}:{number})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_names_its_functions_behind_its_cause() {
        let error = "thread '<unnamed>' panicked at src/lib.rs:12:5:\nno tea in the house; \
                     wasm trap: wasm `unreachable` instruction executed in abort < __rust_start_panic < \
                     shop::price (lib.rs:12) < <[u8; 4] as shop::Priced>::of (lib.rs:3)";
        let stack = guest_stack(error);
        assert_eq!(
            stack,
            [
                "abort",
                "__rust_start_panic",
                "shop::price (lib.rs:12)",
                "<[u8; 4] as shop::Priced>::of (lib.rs:3)"
            ]
        );
        assert_eq!(top_frame(&stack), Some("shop::price (lib.rs:12)"));
    }

    #[test]
    fn languages_with_exceptions_have_a_line_for_each_call() {
        let error = "TypeError: no price\n    at price (orders.ts:12:9)\n    at handle (orders.ts:3:1)\n\
                     caused by Error: gone\n    at fetch (prices.ts:1:1)";
        let stack = guest_stack(error);
        assert_eq!(stack, ["price (orders.ts:12:9)", "handle (orders.ts:3:1)"]);
        let error = "KeyError: 'tea'\n  File \"app.py\", line 9, in handle\n  File \"app.py\", line 4, in price";
        let stack = guest_stack(error);
        assert_eq!(stack, ["price (app.py:4)", "handle (app.py:9)"]);
        assert_eq!(top_frame(&stack), Some("price (app.py:4)"));
    }

    #[test]
    fn nothing_else_is_taken_for_a_stack() {
        for error in [
            "",
            "there is no tea in the house < 3",
            "wasm trap: out of bounds memory access",
            "the component exited with status 3",
            "    at",
            "  File \"x\", line",
        ] {
            assert_eq!(guest_stack(error), Vec::<String>::new(), "{error}");
        }
        assert_eq!(top_frame(&[]), None);
        assert_eq!(top_frame(&["abort".to_owned()]), Some("abort"));
    }
}

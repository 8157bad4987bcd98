;; Traps while it is instantiated, before anything of it can be called.
(module
  (memory (export "memory") 1)
  (func $start (unreachable))
  (start $start)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
  (func (export "hive:consumer/handler@0.1.0#handle") (param i32) (result i32)
    (i32.const 0)))

;; Grows its table until it cannot grow.
(module
  (memory (export "memory") 2)
  (table 1 funcref)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $next)
    (global.set $next (i32.and (i32.const -8)
      (i32.add (i32.const 7) (i32.add (global.get $next) (local.get 3))))))
  (func (export "hive:consumer/handler@0.1.0#handle") (param i32) (result i32)
    (loop $more
      (br_if $more (i32.ne (i32.const -1) (table.grow (ref.null func) (i32.const 1000)))))
    unreachable))

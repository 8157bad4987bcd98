;; Answers with a thousand publications, each of which has the whole memory of 64 MiB as its body: they
;; cost the component nothing, and a host that copies them 64 GB.
(module
  (memory (export "memory") 1024)
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.get $next)
    (global.set $next (i32.and (i32.const -8)
      (i32.add (i32.const 7) (i32.add (global.get $next) (local.get 3))))))
  (func (export "hive:consumer/handler@0.1.0#handle") (param i32) (result i32)
    (local $at i32)
    ;; ok(publish(list)): the cases stand at 0 and 8, the list at 16. A publication has 200 bytes, with
    ;; its body at 168; zeros are a sound value of all that is left out.
    (i32.store8 (i32.const 1032) (i32.const 1))
    (i32.store (i32.const 1040) (i32.const 1048576))
    (i32.store (i32.const 1044) (i32.const 1000))
    (local.set $at (i32.const 1048576))
    (loop $more
      (i32.store offset=172 (local.get $at) (i32.const 67108864))
      (local.set $at (i32.add (local.get $at) (i32.const 200)))
      (br_if $more (i32.lt_u (local.get $at) (i32.const 1248576))))
    (i32.const 1024)))

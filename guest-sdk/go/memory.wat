;; The memory that the host puts a delivery into: wasm-merge puts this beside Go's module.
;;
;; While the host writes a delivery, a component may call nothing of the host. Go's runtime does so
;; whenever it pleases (it looks at the clock), so the allocator is not to be Go. Nor may it take pages of
;; its own, since Go's heap takes for granted that all of them are its. It takes from a variable of Go's,
;; `mailbox` in mailbox.go, which it finds by the two words that stand before its address.
(module
  (import "go" "memory" (memory 1))
  (global $start (mut i32) (i32.const 0))
  (global $next (mut i32) (i32.const 0))
  (global $end (mut i32) (i32.const 0))

  (func $find
    (local $at i32)
    (loop $on
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      ;; Beyond the memory it traps: without a mailbox there is nothing to be done.
      (br_if $on (i64.ne (i64.load (local.get $at)) (i64.const 0x5c6f1d8e2b94a037)))
      (br_if $on (i64.ne (i64.load offset=8 (local.get $at)) (i64.const 0x3a91e7504cd8b26f))))
    (global.set $next (i32.load offset=16 (local.get $at)))
    (global.set $end (i32.add (global.get $next) (i32.load offset=24 (local.get $at)))))

  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (if (i32.eqz (global.get $end)) (then (call $find)))
    ;; Aligned for whatever it is.
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (if (i32.gt_u (local.get $size) (i32.sub (global.get $end) (local.get $at))) (then unreachable))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (if (local.get $old_size)
      (then (memory.copy (local.get $at) (local.get $old)
        (select (local.get $old_size) (local.get $size) (i32.lt_u (local.get $old_size) (local.get $size))))))
    (local.get $at))

  ;; Called once Go has started: what was taken until then, by WASI's adapter, is kept.
  (func (export "started") (param $address i32)
    (if (i32.eqz (global.get $end)) (then (call $find)))
    (global.set $start (global.get $next)))

  ;; The answer has been read.
  (func (export "cabi_post_hive:consumer/handler@0.1.0#handle") (param i32)
    (global.set $next (global.get $start))))

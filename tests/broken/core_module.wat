;; A core module, as wasm32-unknown-unknown or wasm32-wasip1 makes them: no component.
(module
  (func (export "handle")))

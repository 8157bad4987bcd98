;; A component that wants something that no host of Hive has.
(component
  (import "acme:database/rows@1.0.0" (instance
    (export "count" (func (result u64))))))

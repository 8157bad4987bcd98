package hive

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// handled calls the handler; it turns a panic into an error with the place of the panic.
func handled(delivery *Delivery) (answer Answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v%s", cause, stack())
		}
	}()
	if handler == nil {
		return Answer{}, fmt.Errorf("the component has no handler: hive.Consume was not called")
	}
	return handler(delivery)
}

// stack lists the functions of the consumer, the innermost first, each with its file and line.
func stack() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	var text strings.Builder
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "hive-guest.handled") {
			break
		}
		if !strings.HasPrefix(frame.Function, "runtime.") {
			fmt.Fprintf(&text, "\n    at %s (%s:%d)", frame.Function, filepath.Base(frame.File), frame.Line)
		}
		if !more {
			break
		}
	}
	return text.String()
}

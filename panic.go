package ota

import (
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
)

// PanicError is the error of an attempt that failed by a panic in user code. Its text is the value
// and the place of the panic, for everybody who may read the plan. The whole stack goes to the
// host's Options.Logger.
type PanicError struct {
	Value any
	// Frame is the function that panicked, with its file and line, without directories; empty if
	// unknown.
	Frame string
	// Stack is that of the goroutine that panicked, with paths of the machine that built the
	// program; may be empty.
	Stack []byte
}

func (e *PanicError) Error() string {
	if e.Frame == "" {
		return fmt.Sprintf("panic: %v", e.Value)
	}
	return fmt.Sprintf("panic: %v (%s)", e.Value, e.Frame)
}

// newPanicError is for the deferred function that recovered the value.
func newPanicError(value any) *PanicError {
	return &PanicError{Value: value, Frame: panicFrame(), Stack: debug.Stack()}
}

// panicFrame names the function that panicked: the first one below those of the runtime.
func panicFrame() string {
	var room [64]uintptr
	frames := runtime.CallersFrames(room[:runtime.Callers(2, room[:])])
	for panics := false; ; {
		f, more := frames.Next()
		switch own := strings.HasPrefix(f.Function, "runtime."); {
		case own && strings.Contains(f.Function, "anic"):
			panics = true
		case panics && !own:
			return fmt.Sprintf("%s, %s:%d", path.Base(f.Function), path.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// protect turns a panic of a companion into an error.
func protect[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
	}()
	return f()
}

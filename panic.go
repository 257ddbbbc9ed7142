package ota

import (
	"fmt"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
)

// PanicError is what becomes of a panic in user code: the error of a failed attempt. Its text is the value and the place
// of the panic, for everybody who may read the plan. The whole stack is for the host: Options.Logger gets it.
type PanicError struct {
	Value any
	Frame string // the function that panicked, its file and line, without directories; empty when that is not known
	Stack []byte // of the goroutine that panicked, with the paths of the machine that built the program; may be empty
}

func (e *PanicError) Error() string {
	if e.Frame == "" {
		return fmt.Sprintf("panic: %v", e.Value)
	}
	return fmt.Sprintf("panic: %v (%s)", e.Value, e.Frame)
}

// newPanicError is called by the deferred function that has recovered the value.
func newPanicError(value any) *PanicError {
	return &PanicError{Value: value, Frame: panicFrame(), Stack: debug.Stack()}
}

// panicFrame names the function that panics: the first one below the runtime's own.
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

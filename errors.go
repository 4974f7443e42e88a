package await

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/ascompleted/await/internal/crew"
)

// ErrGoexit is the error of a task that ended by [runtime.Goexit], as
// t.FailNow, t.Skip and a failed require in a test do. Such a task has returned
// nothing, so its value is zero.
var ErrGoexit = errors.New("await: the task called runtime.Goexit")

// ErrNotStarted is the error of a task that did not start because the caller's
// context ended first. The error in the result wraps it: under [errors.Is] it
// matches ErrNotStarted, context.Cause(ctx) and ctx.Err().
//
// A task that ran also matches if it returned such an error from a nested call.
// To distinguish the two, wrap the nested error with %v.
var ErrNotStarted = errors.New("await: the task was not started")

// ErrStopped is the [context.Cause] of a task's context when the loop over the
// results has ended, by break, return, a panic in the body, or because
// everything is done, or when [Settle] or a successful [Gather] has returned. A
// call does not return ErrStopped, unless a task does, or unless the call is
// nested in a task: then ErrStopped can be the cause of the context that the
// nested call was given.
var ErrStopped = errors.New("await: the loop over the results has ended")

// ErrNoTasks is what [First] returns when there was no result at all.
var ErrNoTasks = errors.New("await: no tasks")

// TaskError is the error of [Gather], [Gather2] and [Gather3]: the first task
// to fail, and its error. It is also the [context.Cause] of the context of the
// tasks that were running then.
//
// The text of a TaskError is that of Err alone, so nested calls read well. To
// get the index, or the bare error:
//
//	var failed *await.TaskError
//	if errors.As(err, &failed) {
//		log.Printf("%s: %v", inputs[failed.Index], failed.Err)
//	}
type TaskError struct {
	Index int   // of the task, from 0
	Err   error // returned by the task, or why there is none: see Result
}

// Error returns the text of Err.
func (e *TaskError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *TaskError) Unwrap() error { return e.Err }

// PanicError is a panic of a task, of the sequence, or of a function given to
// [OnCancel] or [OnDiscard]. The call panics with it on the caller's goroutine.
// The panic of a task or of the sequence is also the [context.Cause] of the
// context of the tasks that were running then. With [Recover], the panic of a
// task is the error of its result instead.
type PanicError struct {
	// Key is the index or the key of the task that panicked. It is nil if the
	// panic is that of the sequence, or of a function given to [OnCancel] or
	// [OnDiscard].
	Key any

	// Value is the argument of panic: a *runtime.PanicNilError for panic(nil).
	Value any

	// Stack is the stack of the panic, as from debug.Stack. Panics that came
	// later, before the call could end, follow it: ten in full, and then the
	// number of the others.
	Stack []byte

	of crew.Origin
}

// Error returns a text that names the task by its index or key, or else names
// the sequence or the option, followed by the value and the stack. The text
// shows at most 100 bytes of the key, and a pointer as its address.
func (e *PanicError) Error() string {
	return fmt.Sprintf("await: %s panicked: %v\n\n%s", e.who(), e.Value, e.Stack)
}

// who says whose panic it is.
func (e *PanicError) who() string {
	switch e.of {
	case crew.OfSequence:
		return "the sequence of tasks"
	case crew.OfOnCancel:
		return "a function of OnCancel"
	case crew.OfOnDiscard:
		return "a function of OnDiscard"
	}
	return "task " + keyText(e.Key)
}

// Unwrap returns Value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// crewErrors are the public errors that the engine reports.
var crewErrors = crew.Errors{
	Goexit:  ErrGoexit,
	Stopped: ErrStopped,
	Failed:  func(index int, err error) error { return &TaskError{index, err} },
	Panic: func(of crew.Origin, key, value any, stack []byte) error {
		return &PanicError{Key: key, Value: value, Stack: stack, of: of}
	},
	NilTask:    func(key any) error { return fmt.Errorf("await: the task with key %s is nil", keyText(key)) },
	NotStarted: func(cause, err error) error { return &notStartedError{contextError{cause, err}} },
	LeftBehind: func(cause, err error) error { return &contextError{cause, err} },
}

// contextError is the end of a context: it has the text of the cause, and
// matches both the cause and the context's Err.
type contextError struct{ cause, err error }

func (e *contextError) Error() string   { return e.cause.Error() }
func (e *contextError) Unwrap() []error { return []error{e.cause, e.err} }

// notStartedError is the error of a task that never ran.
type notStartedError struct{ contextError }

func (e *notStartedError) Error() string   { return fmt.Sprintf("%v: %v", ErrNotStarted, e.cause) }
func (e *notStartedError) Unwrap() []error { return []error{ErrNotStarted, e.cause, e.err} }

// keyError is the error of the task with that key. The key is formatted only
// when the text is asked for.
type keyError[K any] struct {
	key K
	err error
}

func (e *keyError[K]) Error() string { return fmt.Sprintf("task %s: %v", keyText(e.key), e.err) }
func (e *keyError[K]) Unwrap() error { return e.err }

// notStartedErrors are those of several tasks that never ran, in one line.
type notStartedErrors []error

func (e notStartedErrors) Error() string {
	var first *notStartedError
	errors.As(e[0], &first)
	return fmt.Sprintf("%d tasks were not started: %v", len(e), first.cause)
}
func (e notStartedErrors) Unwrap() []error { return e }

// keyText is a key as text, at most 100 bytes of it. A pointer is its address:
// what it points to may be in use.
func keyText(key any) string {
	const most = 100
	format := "%v"
	if key != nil && reflect.TypeOf(key).Kind() == reflect.Pointer {
		format = "%p"
	}
	text := fmt.Sprintf(format, key)
	if len(text) <= most {
		return text
	}
	end := most - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// check panics if one of the arguments of a call on a list is bad. It returns a
// copy of opts: options are read at the call.
//
// It and the other checks are inlined, and so are the functions around them that
// return a loop, because then the body of the caller's loop need not be allocated.
// That leaves no room to format texts here, nor to call checkOptions from check.
func check[T any](ctx context.Context, tasks []Task[T], opts []Option) []Option {
	if ctx == nil {
		panic(nilContext)
	}
	for i := range tasks {
		if tasks[i] == nil {
			panic(nilTask(i))
		}
	}
	own := append([]Option(nil), opts...)
	for _, opt := range own {
		switch opt.(type) {
		case onDiscard[T]:
		case nil, discarder:
			panic(badOptions[T](own)) // of opts, every call would allocate the slice
		}
	}
	return own
}

// checkOptions is check for a call on no list.
func checkOptions[T any](ctx context.Context, opts []Option) []Option {
	if ctx == nil {
		panic(nilContext)
	}
	own := append([]Option(nil), opts...)
	for _, opt := range own {
		switch opt.(type) {
		case onDiscard[T]:
		case nil, discarder:
			panic(badOptions[T](own))
		}
	}
	return own
}

// checkSeq panics if the sequence is nil.
func checkSeq[K, T any](tasks iter.Seq2[K, Task[T]]) {
	if tasks == nil {
		panic("await: the sequence of tasks is nil")
	}
}

// nilContext is what a call panics with if the context is nil.
const nilContext = "await: the context is nil"

// nilTask is what a call panics with if the task with that index is nil.
type nilTask int

func (i nilTask) Error() string { return fmt.Sprintf("await: task %d is nil", i) }

// badOptions is what a call whose tasks return a T panics with if one of its
// options is nil, or OnDiscard for another type.
type badOptions[T any] []Option

func (opts badOptions[T]) Error() string {
	bad := slices.IndexFunc(opts, func(opt Option) bool {
		_, fits := opt.(onDiscard[T])
		_, discards := opt.(discarder)
		return opt == nil || discards && !fits
	})
	if opts[bad] == nil {
		return fmt.Sprintf("await: option %d is nil", bad)
	}
	return fmt.Sprintf("await: option %d is OnDiscard for a %v, and the tasks return a %v",
		bad, opts[bad].(discarder).value(), reflect.TypeFor[T]())
}

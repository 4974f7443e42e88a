package await

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ascompleted/await/internal/crew"
)

var (
	// ErrGoexit is the error of a task that ended by [runtime.Goexit], as a
	// test's t.FailNow, t.Skip or a failed require do. Such a task has
	// returned nothing, so its value is zero.
	ErrGoexit = errors.New("await: the task called runtime.Goexit")

	// ErrNotStarted is the error of a task that never ran, because the
	// caller's context ended first. The error that the loop gets wraps the
	// cause too: it matches both ErrNotStarted and [context.Cause] of the
	// caller's context under [errors.Is].
	ErrNotStarted = errors.New("await: the task was not started")

	// ErrStopped is the [context.Cause] of a task's context when the loop
	// over the results has ended: by break, return, a panic, or because
	// everything is done. No function of this package returns it.
	ErrStopped = errors.New("await: the loop over the results has ended")

	// ErrNoTasks is what [First] returns when there was no result at all.
	ErrNoTasks = errors.New("await: no tasks")
)

// TaskError is the error of [Gather], [Gather2] and [Gather3]: the first task
// to fail, and how. It is also the [context.Cause] of the context of the
// tasks that were running then.
type TaskError struct {
	Index int   // of the task, from 0
	Err   error // what it returned, or why it did not return: see Result
}

// Error returns the text of Err.
func (e *TaskError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *TaskError) Unwrap() error { return e.Err }

// PanicError is a task's panic. Without [Recover] it is the value with which
// the call panics on the caller's goroutine, and the [context.Cause] of the
// context of the tasks that were running then. With Recover it is the error
// of the task's result.
type PanicError struct {
	// Key is the index or the key of the task that panicked.
	Key any

	// Value is what the task, or the sequence of tasks, panicked with: a
	// *runtime.PanicNilError for panic(nil).
	Value any

	// Stack is the stack of that panic, as from debug.Stack. If other tasks
	// panicked too before the call could end, their values and stacks follow.
	Stack []byte
}

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("await: a task panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// crewErrors tells the crew the words of this package.
var crewErrors = crew.Errors{
	Goexit:  ErrGoexit,
	Stopped: ErrStopped,
	Panic:   func(value any, stack []byte) error { return &PanicError{nil, value, stack} },
	NilTask: func(n int) error { return nilElement{"the sequence's task", n} },
}

// notStarted is the error of tasks that never ran.
func notStarted(cause error) error { return fmt.Errorf("%w: %w", ErrNotStarted, cause) }

// keyError is the error of the task with that key. The key is formatted only
// when the text is asked for.
type keyError[K any] struct {
	key K
	err error
}

func (e *keyError[K]) Error() string { return fmt.Sprintf("task %v: %v", e.key, e.err) }
func (e *keyError[K]) Unwrap() error { return e.err }

// nilElement is what a call panics with for a nil task or option. It is a type, and
// not a text made on the spot, to keep check small enough to be inlined.
type nilElement struct {
	what  string
	index int
}

func (e nilElement) Error() string { return fmt.Sprintf("await: %s %d is nil", e.what, e.index) }

// checkSeq is check for a sequence of tasks.
func checkSeq[K, T any](ctx context.Context, tasks iter.Seq2[K, Task[T]], opts []Option) {
	if tasks == nil {
		panic("await: the sequence of tasks is nil")
	}
	check[T](ctx, nil, opts)
}

// check panics if one of the arguments that most functions share is bad. It
// is inlined, and so are AsCompleted and InOrder around it, because then the
// body of the caller's loop need not be allocated.
func check[T any](ctx context.Context, tasks []Task[T], opts []Option) {
	if ctx == nil {
		panic("await: the context is nil")
	}
	for i, task := range tasks {
		if task == nil {
			panic(nilElement{"task", i})
		}
	}
	for i, opt := range opts {
		if opt == nil {
			panic(nilElement{"option", i})
		}
	}
}

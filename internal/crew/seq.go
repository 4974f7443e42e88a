package crew

import (
	"context"
	"iter"
	"runtime/debug"
	"sync"
)

// Seq is a source that pulls its tasks from a sequence, one at a time, and
// only when a worker is there to run the next.
//
// A worker that finds another one pulling leaves, and the one that pulls sees
// to its successor when it has got a task. So one goroutine waits for the
// sequence, however slow that is.
type Seq[K, T any] struct {
	crew  *Crew[K, T]
	ctx   context.Context // of the caller
	tasks iter.Seq2[K, Task[T]]

	// The worker that pulls owns these, and the last worker after it.
	next  func() (K, Task[T], bool)
	stop  func()
	n     int    // tasks claimed
	fault *fault // the sequence's panic

	mu      sync.Mutex // guards the rest; not held while the sequence runs
	pulling bool       // a worker is in the sequence
	shut    bool       // the sequence is not pulled any further
	ending  bool       // somebody cleans up, or has

	ended chan struct{} // closed by whoever has cleaned up
}

// Init readies the source.
func (s *Seq[K, T]) Init(ctx context.Context, crew *Crew[K, T], tasks iter.Seq2[K, Task[T]]) {
	s.ctx, s.crew, s.tasks = ctx, crew, tasks
	s.ended = make(chan struct{})
}

// Claim pulls the next task.
func (s *Seq[K, T]) Claim(turn *Turn) (n int, key K, task Task[T], ok bool) {
	if !s.begin(turn) {
		return n, key, nil, false
	}
	defer func() { // the sequence may call runtime.Goexit
		if !s.end(ok, turn) {
			ok = false
		}
	}()
	if s.next == nil {
		// Not earlier, and not on the loop's goroutine: that may be locked to
		// its thread, and a coroutine stays with the kind that made it.
		s.next, s.stop = iter.Pull2(s.guarded)
	}
	key, task, ok = s.next()
	n = s.n
	s.n++
	if ok && task == nil {
		s.fault = &fault{value: s.crew.config.Errors.NilTask(n), stack: debug.Stack()}
	}
	return n, key, task, ok
}

// begin makes the calling worker the one that pulls, or dismisses it.
func (s *Seq[K, T]) begin(turn *Turn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	if s.pulling {
		s.crew.Dismiss() // not the last: there is the one that pulls
		turn.dismissed = true
		return false
	}
	s.pulling = true
	return true
}

// end follows the sequence's step. It reports whether the run goes on.
func (s *Seq[K, T]) end(ok bool, turn *Turn) bool {
	fault := s.fault // no longer this worker's to look at when pulling is false
	s.mu.Lock()
	late := s.shut // Shut has dismissed this worker
	if !late {
		s.pulling = false // else it stays: End leaves the cleanup to this worker
		s.shut = !ok || fault != nil || s.ctx.Err() != nil
	}
	shut := s.shut
	s.mu.Unlock()
	if late {
		turn.dismissed = true
		s.cleanup(nil)
	} else if fault != nil {
		s.crew.report(fault)
	}
	return !shut
}

// guarded is the sequence, with its panic caught where its stack still is.
func (s *Seq[K, T]) guarded(yield func(K, Task[T]) bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if s.fault = caught(recover()); s.fault.value == nil {
			s.fault.value = s.crew.config.Errors.Goexit
		}
	}()
	s.tasks(yield)
	returned = true
}

// cleanup runs what the sequence has deferred. Then it reports the sequence's
// panic, unless that was reported before.
func (s *Seq[K, T]) cleanup(reported *fault) {
	defer func() { // stop passes a runtime.Goexit on
		if s.fault != reported {
			s.crew.report(s.fault)
		}
	}()
	if s.stop != nil {
		s.stop()
	}
}

// More reports whether nobody pulls, and the end has not been seen.
func (s *Seq[K, T]) More(*Turn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.shut && !s.pulling
}

// Shut stops the pulling. If the sequence is in the middle of its next step,
// its worker is not waited for any more, and cleans up when the step returns.
func (s *Seq[K, T]) Shut() {
	s.mu.Lock()
	last := !s.shut && s.pulling && s.crew.Dismiss()
	s.shut = true
	s.mu.Unlock()
	if last {
		s.crew.Finish()
	}
}

// End cleans up, unless that is left to the worker that pulls. With Detach it
// is called twice, by the loop's end and by the last worker: one of them
// cleans up, and the other waits for it.
func (s *Seq[K, T]) End() {
	s.mu.Lock()
	pulling, first := s.pulling, !s.ending
	s.ending = true
	s.mu.Unlock()
	switch {
	case pulling:
	case first:
		defer close(s.ended)
		s.cleanup(s.fault)
	default:
		<-s.ended
	}
}

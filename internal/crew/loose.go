package crew

import (
	"maps"
	"slices"
	"sync"
)

// loose keeps account of running tasks, so that with Detach a loop can end
// before they do. It stands between the crew and its source.
type loose[K, T any] struct {
	source Source[K, T]

	mu        sync.Mutex
	running   map[int]K    // the keys of the tasks that run, by number; guarded by mu
	ended     bool         // results no longer reach the loop; guarded by mu
	left      bool         // the loop is gone; guarded by mu
	abandoned []Item[K, T] // what stands in for results that no longer come; the loop's own
}

// Claim claims a task and counts it as running, in one step, so that end sees
// every task either here or not started.
func (l *loose[K, T]) Claim() (n int, key K, task Task[T], ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return n, key, nil, false
	}
	n, key, task, ok = l.source.Claim()
	if ok {
		l.running[n] = key
	}
	return n, key, task, ok
}

// More reports whether Claim would find a task.
func (l *loose[K, T]) More() bool { return l.source.More() }

// put hands a result over, unless it comes too late.
func (l *loose[K, T]) put(item Item[K, T], items chan<- Item[K, T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	delete(l.running, item.N)
	items <- item // has room: does not block
}

// report runs f, which tells the loop of a panic, unless the loop is gone.
func (l *loose[K, T]) report(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left {
		return false
	}
	f()
	return true
}

// end lets no result through any more. Every task that still runs gets cause
// for its error, in the order in which they started.
func (l *loose[K, T]) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	for _, n := range slices.Sorted(maps.Keys(l.running)) {
		l.abandoned = append(l.abandoned, Item[K, T]{N: n, Key: l.running[n], Err: cause})
	}
}

// leave is the loop's last word.
func (l *loose[K, T]) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.left = true, true
}

// nextLoose is Next with Detach: once the context has ended it waits no more.
func (s *Stream[K, T]) nextLoose() (item Item[K, T], ok bool) {
	select {
	case item, ok = <-s.items:
	case <-s.ctx.Done():
		s.loose.end(s.Cause())
		select {
		case item, ok = <-s.items: // what had finished in time
		default:
		}
	}
	if !ok && len(s.loose.abandoned) > 0 {
		item, ok = s.loose.abandoned[0], true
		s.loose.abandoned = s.loose.abandoned[1:]
	}
	return item, ok && !s.Panicked()
}

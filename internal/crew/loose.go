package crew

import (
	"maps"
	"slices"
	"sync"
)

// loose keeps account of running tasks, so that with Detach a loop can end
// before they do. It stands between the crew and its source.
type loose[K, T any] struct {
	Source[K, T]
	blocks bool // Claim of the source may block

	mu        sync.Mutex
	running   map[int]K    // the keys of the tasks that run, by number; guarded by mu
	ended     bool         // results no longer reach the loop; guarded by mu
	abandoned []Item[K, T] // what stands in for results that no longer come; the loop's own
}

// Claim claims a task and counts it as running. Unless the claim may block,
// the two are one step, so that abandon sees every task either here or not
// claimed. A sequence's task that comes too late is dropped.
func (l *loose[K, T]) Claim(turn *Turn) (n int, key K, task Task[T], ok bool) {
	if l.blocks {
		n, key, task, ok = l.Source.Claim(turn)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		turn.leave()
		return n, key, nil, false
	}
	if !l.blocks {
		n, key, task, ok = l.Source.Claim(turn)
	}
	if ok {
		l.running[n] = key
	}
	return n, key, task, ok
}

// put hands a result over, unless it comes too late.
func (l *loose[K, T]) put(item Item[K, T], hand func(Item[K, T])) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	delete(l.running, item.N)
	hand(item) // does not block
}

// abandon lets no result through any more. Every task that still runs gets
// cause for its error, in the order in which they started.
func (l *loose[K, T]) abandon(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, n := range slices.Sorted(maps.Keys(l.running)) {
		l.abandoned = append(l.abandoned, Item[K, T]{N: n, Key: l.running[n], Err: cause})
	}
	l.running = nil
}

// leave lets no result through any more: nobody is there to take it.
func (l *loose[K, T]) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.running, l.abandoned = true, nil, nil
}

package crew

// places has the results of a list in finish order. A result has a place that
// never moves: its worker writes it, and then the loop alone, so neither needs a
// lock for that.
type places[T any] struct {
	// Workers add to it, and so take a place each before they put the result there:
	// a result waits for those before it, though for no task.
	taken atomicInt64
	_     gap

	first []place[T]
	rest  []place[T] // made when first is full: the first result does not wait for memory for all

	mu      *mutex     // of the run, which is held while rest is made; as launches need it too, no more workers come to wait for that
	made    atomicBool // there is rest
	restLen int
}

type place[T any] struct {
	index atomicInt64 // of the task, from 1; stored last, which publishes the rest
	value T
	err   error
}

// init makes places for n results.
func (p *places[T]) init(n int, mu *mutex) {
	p.first = make([]place[T], min(n, large))
	p.restLen = n - len(p.first)
	p.mu = mu
}

// put puts the result of task n, and returns its place.
func (p *places[T]) put(n int, value T, err error) (i int) {
	i = int(p.taken.Add(1)) - 1
	if i >= len(p.first) && !p.made.Load() {
		p.makeRest()
	}
	at := p.at(i)
	at.value, at.err = value, err
	at.index.Store(int64(n) + 1)
	return i
}

func (p *places[T]) makeRest() {
	p.mu.Lock()
	if p.rest == nil {
		p.rest = make([]place[T], p.restLen)
		p.made.Store(true)
	}
	p.mu.Unlock()
}

// at returns place i. If it is in rest, made was seen.
func (p *places[T]) at(i int) *place[T] {
	if i < len(p.first) {
		return &p.first[i]
	}
	return &p.rest[i-len(p.first)]
}

// ready returns place i if there is a result, else nil.
func (p *places[T]) ready(i int) *place[T] {
	if i >= len(p.first) && !p.made.Load() {
		return nil
	}
	if at := p.at(i); at.index.Load() > 0 {
		return at
	}
	return nil
}

// read returns the result, and clears its place, but for the index.
func (p *place[T]) read() Item[int, T] {
	item := Item[int, T]{int(p.index.Load()) - 1, p.value, p.err}
	var none T
	p.value, p.err = none, nil
	return item
}

//go:build !explore

package proof_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"
)

// choices decide what a scenario is like, byte by byte. When they are used up,
// all further ones are 0. The less a choice is, the simpler is what it makes; so
// whatever bytes there are, fewer or smaller ones make a smaller scenario.
type choices []byte

// choicesOf makes choices of a seed.
func choicesOf(seed int) choices {
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	var c choices
	for range 24 {
		c = binary.LittleEndian.AppendUint64(c, rng.Uint64())
	}
	return c
}

// shrunk is a smaller c that still fails.
func (c choices) shrunk(fails func(choices) bool) choices {
	for smaller := true; smaller; {
		smaller = false
		for n := len(c) / 2; n > 0; n /= 2 {
			for from := 0; from+n <= len(c); {
				if d := slices.Concat(c[:from], c[from+n:]); fails(d) {
					c, smaller = d, true
				} else {
					from += n
				}
			}
		}
		for i := range c {
			for c[i] > 0 {
				d := slices.Clone(c)
				if d[i] /= 2; !fails(d) {
					break
				}
				c, smaller = d, true
			}
		}
	}
	return c
}

// generator makes a scenario of choices.
type generator struct {
	choices
	moments int
}

// scenarioOf is the scenario that c makes, without what the contract leaves open
// and what would crash the program.
func scenarioOf(name string, c choices) *scenario {
	g := &generator{choices: c}
	s := g.scenario()
	s.name = name
	for o := s.predict(); o.open || o.crashes; o = s.predict() {
		s.breaks, s.cleaned = none, succeeds
		if o.crashes || s.kind == ofQueue {
			s.recovers = true
		} else if s.cleanup = 0; o.asked != none {
			s.steps[o.asked] = 0
		}
	}
	return s
}

// upTo is a choice from 0 to n.
func (g *generator) upTo(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0])
	g.choices = g.choices[1:]
	return c % (n + 1)
}

// of is one of the list; of(0, 0, 1) is 1 in a third of the cases.
func of[E any](g *generator, list ...E) E { return list[g.upTo(len(list)-1)] }

// duration is some hours, and a power of two in nanoseconds that no other
// duration of the scenario has. So the sums of different durations differ, and
// no two things happen at the same moment unless one has caused the other.
func (g *generator) duration() time.Duration {
	g.moments++
	return time.Duration(g.upTo(7))*time.Hour + 2*time.Nanosecond<<g.moments
}

// pause is a duration or nothing.
func (g *generator) pause() time.Duration {
	if g.upTo(1) == 0 {
		return 0
	}
	return g.duration()
}

func (g *generator) scenario() *scenario {
	s := &scenario{
		kind:     kind(g.upTo(kinds - 1)),
		limit:    of(g, 0, 1, 2, 3, 4, 0),
		buffer:   of(g, unset, unset, 0, 1, 2, 5000),
		within:   of(g, 0, 0, 0, 1, 2, 3),
		detach:   of(g, false, false, false, true),
		recovers: of(g, false, false, true),
		named:    of(g, false, false, false, true),
		pulled:   of(g, false, false, false, true),
		expires:  never,
		spoiled:  none,
		cancels:  none,
		leaves:   none,
		breaks:   none,
	}
	n := g.upTo(8)
	for i := range n {
		s.plans = append(s.plans, g.plan(s.kind, i))
	}
	switch g.upTo(7) {
	case 4, 5, 6:
		s.expires = g.duration() + time.Duration(g.upTo(7))*time.Hour
	case 7:
		s.expires = 0
	}
	for range n {
		s.bodies = append(s.bodies, g.pause())
	}
	if n > 0 && s.kind.loops() {
		g.exits(s)
	}
	if s.kind.sequence() {
		for range n + 1 {
			s.steps = append(s.steps, g.pause())
		}
		if g.upTo(7) == 7 {
			s.breaks, s.broken = g.upTo(n), of(g, panics, exits, fails)
			s.steps[s.breaks] = g.duration()
			if s.breaks == n && s.broken == fails { // no task is due at the end
				s.broken = panics
			}
		}
	}
	g.ends(s)
	return s
}

// ends is what concerns the end of the call. Its choices come last, so older
// ones keep their meaning.
func (g *generator) ends(s *scenario) {
	s.deadline = of(g, false, true)
	s.discards = of(g, false, true)
	s.again = s.kind == ofQueue && of(g, false, true)
	for range of(g, 0, 0, 1, 1, 2) {
		s.hooks = append(s.hooks, hook{g.pause(), of(g, succeeds, succeeds, succeeds, exits, panics)})
	}
	if s.discards && !s.detach { // else on a task's goroutine it would crash the program
		s.spoiled = of(g, none, none, none, none, none, 0, 1)
	}
	if s.kind.sequence() {
		s.wakes = of(g, false, false, true) && len(s.hooks) > 0
		if s.cleanup = g.pause(); s.cleanup > 0 {
			s.cleaned = of(g, succeeds, succeeds, succeeds, fails, exits, panics)
		}
	}
}

// exits has the loop's body end the context, or leave.
func (g *generator) exits(s *scenario) {
	last := len(s.plans) - 1
	if g.upTo(7) == 7 {
		s.cancels = g.upTo(last)
		s.bodies[s.cancels] = g.duration()
	}
	if g.upTo(2) == 2 {
		s.leaves, s.how = g.upTo(last), of(g, succeeds, succeeds, panics, exits)
		s.bodies[s.leaves] = g.duration()
	}
}

func (g *generator) plan(k kind, i int) plan {
	p := plan{
		lasts:   g.duration(),
		ends:    of(g, succeeds, succeeds, succeeds, succeeds, succeeds, succeeds, fails, fails, both, exits, panics),
		lingers: never,
		gives:   of(g, givesUp, givesUp, givesUp, givesUp, givesUp, succeeds, fails, both, exits, panics),
	}
	if g.upTo(3) > 0 {
		p.lingers = g.duration()
	}
	if k == ofQueue && i > 0 {
		p.by = of(g, byCaller, byCaller, byTask, byBody, byOutside)
		switch p.by {
		case byTask, byBody:
			p.which = g.upTo(i - 1)
		case byOutside:
			p.when = g.duration()
		}
	}
	return p
}

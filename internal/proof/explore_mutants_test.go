//go:build explore

package proof_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var mutantsFlag = flag.Bool("mutants", false, "explore: break the engine on purpose, one way after the other; -bound is the most preemptions")

// mutant is a way to break the engine: a file of internal/crew, and pairs of a
// text that it has once and what to put in its place.
type mutant struct {
	name  string
	same  string // why it is no fault that a schedule could show; else empty
	file  string
	edits []string
}

var mutants = []mutant{
	// Wake-ups.
	{"the loop is not woken", "", "run", []string{"r.reading = false\n\t\tr.news.Signal()", "r.reading = false"}},
	{"a result does not wake the loop", "", "crew", []string{"if !c.left && (c.window == nil || c.window.ready()) {\n\t\tc.tellLoop()\n\t}\n", ""}},
	{"a result in input order wakes the loop only at the end", "", "crew", []string{"c.window == nil || c.window.ready())", "c.window == nil || c.running == 0)"}},
	{"the last worker does not wake the loop", "", "crew", []string{"if c.workers == 0 || c.running == 0 && !c.left { // else somebody else will\n\t\tc.tellLoop()\n\t}\n", ""}},
	{"a worker that leaves wakes the loop only if it is the last", "", "crew", []string{"if c.workers == 0 || c.running == 0 && !c.left {", "if c.workers == 0 {"}},
	{"the worker that rests is not woken", "", "crew", []string{"c.starting = true\n\t\tc.work.Signal()", "c.starting = true"}},
	{"the feeder is not woken", "", "seq", []string{"f.waiting = false\n\tf.places.Signal()", "f.waiting = false"}},
	{"the end of a task does not wake the feeder", "", "crew", []string{"delete(c.inFlight, w.n)\n\t}\n\tc.tellFeeder()", "delete(c.inFlight, w.n)\n\t}"}},
	{"taking a task does not wake the feeder", "", "crew", []string{"c.tellFeeder() // who waits if", "// who waits if"}},
	{"reading a result does not wake the feeder", "", "loop", []string{"launch := ok && c.addWorker()\n\tc.tellFeeder()", "launch := ok && c.addWorker()"}},
	{"Stop does not wake the feeder", "", "stop", []string{"c.endFeeder()\n\tfor", "for"}},
	{"a worker that leaves does not wake the feeder", "", "crew", []string{"c.workers--\n\tc.endFeeder()", "c.workers--"}},
	{"a worker that is not replaced does not wake the feeder", "", "crew", []string{"c.endFeeder()\n\t\treturn false", "return false"}},
	{"Stop wakes one of the workers that rest", "", "stop", []string{"c.work.Broadcast()", "c.work.Signal()"}},
	{"the feeder is told while nothing is handed over alone, and never else", "", "seq", []string{"f.count == 0 && f.free()", "f.count > 0 && f.free()"}},
	{"Stop does not wake the workers that rest", "", "stop", []string{"c.work.Broadcast()", ""}},
	{"the feeder does not ask the caller's context", "", "seq", []string{"c.askParent()\n\tc.mu.Lock()\n\tf.inStep = false", "c.mu.Lock()\n\tf.inStep = false"}},
	{"the end of the feeder does not wake the loop", "", "seq", []string{"// else the end of a task does\n\t\t\tc.tellLoop()", "// else the end of a task does"}},
	{"the end of the feeder wakes the loop only if it was not cut short", "", "seq", []string{"f.count == 0 || c.ended() {", "f.count == 0 {"}},
	{"the end of OnCancel does not wake the loop", "", "run", []string{"r.watching = false\n\t\tr.tellLoop()", "r.watching = false"}},
	{"the end of the context does not wake the loop", "the end of OnCancel wakes it a moment later", "crew", []string{"c.tellLoop()\n\t\t\tc.endFeeder()", "c.endFeeder()"}},
	{"the last worker of a list does not wake the caller", "", "list", []string{"if l.workers == 0 {\n\t\tl.tellLoop()\n\t}\n", ""}},
	{"a result of a list does not wake the loop", "", "list", []string{"if l.awaited.Load() == int64(i)+1 {", "if l.awaited.Load() < int64(i)-1 {"}},

	// Looks and waits that are not one step.
	{"the loop looks, unlocks, and waits", "", "loop", []string{"c.awaitNews()", "c.mu.Unlock()\n\t\tc.mu.Lock()\n\t\tc.awaitNews()"}},
	{"a worker looks, unlocks, and rests", "", "crew", []string{"c.resting++\n\tc.work.Wait()", "c.mu.Unlock()\n\tc.mu.Lock()\n\tc.resting++\n\tc.work.Wait()"}},
	{"the feeder looks, unlocks, and waits", "", "seq", []string{"f.waiting = true\n\t\tf.places.Wait()", "c.mu.Unlock()\n\t\tc.mu.Lock()\n\t\tf.waiting = true\n\t\tf.places.Wait()"}},
	{"the end of a task is counted, and its result put later", "", "crew", []string{"default:\n\t\tc.store(w.n, w.item)", "default:\n\t\tc.mu.Unlock()\n\t\tc.mu.Lock()\n\t\tc.store(w.n, w.item)"}},
	{"Stop looks only once", "", "stop", []string{"for c.outstanding() {", "if c.outstanding() {"}},
	{"Gather looks only once", "", "gather", []string{"for l.workers > 0 {", "if l.workers > 0 {"}},
	{"the loop over a list looks, and then says for what it waits", "", "list", []string{"l.awaited.Store(int64(l.read) + 1)\n\t\tp = l.places.ready(l.read) // after the store: see put", "p = l.places.ready(l.read)\n\t\tl.awaited.Store(int64(l.read) + 1)"}},
	{"the loop over a list looks, unlocks, and waits", "", "list", []string{"l.awaitNews()\n\t}\n\tl.mu.Unlock()\n\treturn p, ok", "l.mu.Unlock()\n\t\tl.mu.Lock()\n\t\tl.awaitNews()\n\t}\n\tl.mu.Unlock()\n\treturn p, ok"}},
	{"a place is ready before its result is there", "a schedule is changed only where goroutines synchronize; the race detector sees it", "places", []string{"at.value, at.err = value, err\n\tat.index.Store(int64(n) + 1)", "at.index.Store(int64(n) + 1)\n\tat.value, at.err = value, err"}},
	{"Add looks before it adds", "", "queue", []string{"q.tasks.put(entry[K, T]{key, task})\n\trun := q.run\n\tlaunch := run != nil && run.addWorker()", "run := q.run\n\tlaunch := run != nil && run.addWorker()\n\tq.tasks.put(entry[K, T]{key, task})"}},
	{"the results of a queue are kept after the run was taken off", "", "stop", []string{"c.queue.kept = unread // for its next loop", "c.mu.Unlock()\n\t\t\tc.mu.Lock()\n\t\t\tc.queue.kept = unread"}},

	// Workers.
	{"a worker stays starting", "", "crew", []string{"w.started = true\n\t\tc.starting = false", "w.started = true"}},
	{"a worker that has rested stays starting", "", "crew", []string{"c.work.Wait()\n\tc.starting = false", "c.work.Wait()"}},
	{"a worker does not see to the next one", "", "crew", []string{"launch := ok && c.addWorker()\n\tc.mu.Unlock()", "launch := false\n\tc.mu.Unlock()"}},
	{"one worker above the limit", "", "crew", []string{"if c.workers == c.config.Limit {", "if c.workers > c.config.Limit {"}},
	{"a list has one worker above the limit", "", "list", []string{"l.full.Store(l.workers == l.config.Limit)", "l.full.Store(l.workers > l.config.Limit)"}},
	{"a worker of a list is not counted in the step that looks", "", "list", []string{"launch := !l.full.Load()\n\tif launch {", "launch := !l.full.Load()\n\tl.mu.Unlock()\n\tl.mu.Lock()\n\tif launch {"}},
	{"a list stays full", "", "list", []string{"l.full.Store(l.workers == l.config.Limit)", ""}},
	{"a worker that has panicked is not counted off", "", "worker", []string{"c.leave()\n\tlaunch := c.addWorker()", "launch := c.addWorker()"}},
	{"nobody goes on in place of a worker that exits", "", "worker", []string{"launch := c.addWorker()", "launch := false"}},
	{"nobody goes on in place of a worker of a list", "", "list", []string{"l.put(w.n, none, err)\n\t}\n\tspawn(l.body)", "l.put(w.n, none, err)\n\t}"}},
	{"a task that panics stays running", "", "worker", []string{"if w.item.Err == nil {\n\t\tc.taskEnded(w)\n", "if w.item.Err == nil {\n"}},
	{"a task that was left behind and panics counts twice", "", "worker", []string{"if !c.deserted { // else", "if true { // else"}},
	{"Stop does not wait for workers", "", "stop", []string{"return c.watching || pulling || c.workers > 0", "return c.watching || pulling"}},
	{"Stop does not wait for the sequence", "", "stop", []string{"return c.watching || pulling || c.workers > 0", "return c.watching || c.workers > 0"}},
	{"Stop does not wait for OnCancel", "", "stop", []string{"return c.watching || pulling || c.workers > 0", "return pulling || c.workers > 0"}},
	{"the end of a list does not wait for workers", "", "list", []string{"for l.workers > 0 || l.watching {", "for l.watching {"}},
	{"the end of a list does not wait for OnCancel", "", "list", []string{"for l.workers > 0 || l.watching {", "for l.workers > 0 {"}},
	{"the rest of the places is made twice", "", "places", []string{"if p.rest == nil {", "if true {"}},
	{"a detached Stop waits for the sequence", "", "stop", []string{"return c.watching || pulling && !c.feeder.inStep", "return c.watching || pulling"}},

	// Room and ends.
	{"one task above the buffer, by a worker", "", "crew", []string{"return c.unread < c.most &&", "return c.unread <= c.most &&"}},
	{"one task above the buffer, by the feeder", "", "seq", []string{"c.unread+f.count < c.most", "c.unread+f.count <= c.most"}},
	{"the feeder pulls ahead of the limit", "", "seq", []string{"&& c.running+f.count < c.config.Limit", ""}},
	{"room in the buffer starts nobody", "", "loop", []string{"launch := ok && c.addWorker()", "launch := false"}},
	{"a result is not counted as read", "", "loop", []string{"c.unread--\n", ""}},
	{"a loop that has ended goes on", "", "crew", []string{"return c.left || c.ctx.Err() != nil", "return c.ctx.Err() != nil"}},
	{"a loop over a queue that has ended starts what comes too late", "", "loop", []string{"c.left = true // what a queue gets from now on is for its next loop\n", ""}},
	{"the end of the context stops nobody", "", "crew", []string{"return c.left || c.ctx.Err() != nil", "return c.left"}},
	{"the end of the context stops no list", "", "list", []string{"if l.ctx.Err() == nil {", "if true {"}},
	{"the caller's context is not asked", "", "crew", []string{"c.askParent()\n\tc.mu.Lock()\n\tif !w.started {", "c.mu.Lock()\n\tif !w.started {"}},
	{"the caller's context is not asked by a list", "", "list", []string{"l.askParent()\n", ""}},
	{"the caller's context is not asked after a rest", "", "crew", []string{"c.starting = false\n\tc.mu.Unlock()\n\tc.askParent()\n\tc.mu.Lock()", "c.starting = false"}},
	{"the loop ends while tasks run", "", "loop", []string{"return c.deserted || c.running == 0 &&", "return c.deserted || true &&"}},
	{"the loop over a list ends while tasks run", "", "list", []string{"p != nil || l.workers == 0", "p != nil || l.ctx.Err() != nil"}},
	{"the loop ends before the sequence", "", "loop", []string{"c.running == 0 && (c.feeder == nil || !c.feeder.pulling)", "c.running == 0"}},
	{"the sequence goes on after the loop", "", "seq", []string{"return c.left || c.panics", "return c.panics"}},
	{"the sequence is not asked for one task more", "", "seq", []string{"return f.count == 0 || !c.ended()\n", "return !c.ended()\n"}},
	{"the sequence is asked for one task more in any case", "", "seq", []string{"return f.count == 0 || !c.ended()\n", "return true\n"}},

	// Panics, errors, and values that nobody reads.
	{"a panic does not cancel", "", "panic", []string{"r.mu.Unlock()\n\tr.cancel(err)", "r.mu.Unlock()\n\t_ = err"}},
	{"a panic is raised only when all is read", "", "panic", []string{"r.panicked.Store(true)\n", ""}},
	{"Stop cancels with its own cause", "", "run", []string{"case r.panics != nil:\n\t\treturn r.panics.err\n", ""}},
	{"Stop cancels a failed Gather with its own cause", "", "run", []string{"case r.failed != nil:\n\t\treturn r.failed\n\t}", "}"}},
	{"a failed task of a Gather does not cancel", "", "list", []string{"l.mu.Unlock()\n\tl.cancel(l.failed)", "l.mu.Unlock()"}},
	{"the last error of a Gather counts", "", "run", []string{"if r.failed == nil {\n", "if true {\n"}},
	{"a permit is released before the others are canceled", "", "crew", []string{"\tif w.failed {\n", "\tif w.permit != nil {\n\t\tw.permit.release()\n\t\tw.permit = nil\n\t}\n\tif w.failed {\n"}},
	{"late results of a detached call reach the loop", "", "crew", []string{"case c.deserted:\n\t\tw.discard = w.item.Err == nil && c.config.OnDiscard != nil\n", ""}},
	{"late values of a detached call are dropped", "", "crew", []string{"w.discard = w.item.Err == nil && c.config.OnDiscard != nil", "w.discard = false"}},
	{"what Detach leaves behind yields nothing", "", "loop", []string{"c.store(n, Item[K, T]{Key: c.inFlight[n], Err: err})", "_ = n"}},
	{"the results of a queue are not kept", "", "stop", []string{"c.queue.kept = unread // for its next loop", ""}},
	{"unread values are not discarded", "", "stop", []string{"c.discardAll(unread)", "_ = unread"}},

	// The limiter.
	{"a worker stays waiting for its permit", "", "crew", []string{"c.waiting = false\n\tw.permit = p", "w.permit = p"}},
	{"two workers wait for permits", "", "crew", []string{"return c.unread < c.most && !c.waiting && c.source.more()", "return c.unread < c.most && c.source.more()"}},
	{"a permit that comes too late is lost", "", "crew", []string{"if p != nil && c.ended() {\n\t\tc.mu.Unlock()\n\t\tc.followUp(w)\n\t\tc.mu.Lock()\n\t}\n", "if c.ended() {\n\t\tw.permit = nil\n\t}\n"}},
	{"a permit is not lent", "", "limiter", []string{"if !p.lent {\n\t\tp.lent = true", "if false {\n\t\tp.lent = true"}},
	{"a permit is lent twice", "", "limiter", []string{"p.lent = true\n\t\tp.mu.Unlock()", "p.mu.Unlock()"}},
	{"a permit is lent in a later step", "", "limiter", []string{"p.lent = true\n\t\tp.mu.Unlock()", "p.mu.Unlock()\n\t\tp.mu.Lock()\n\t\tp.lent = true\n\t\tp.mu.Unlock()"}},
	{"a permit that came with one that was lent is kept", "", "limiter", []string{"if lent { // one too many\n\t\t\tp.reclaim()\n\t\t}\n", ""}},
	{"a reclaimed permit is lent to nobody", "", "limiter", []string{"if len(p.waiters) > 0 {", "if false {"}},
	{"who gets a lent permit is not woken", "", "limiter", []string{"p.mu.Unlock()\n\t\tw.cancel(nil)", "p.mu.Unlock()"}},
	{"a permit is released in two steps", "", "limiter", []string{"p.released = true\n\tlent := p.lent", "lent := p.lent\n\tp.mu.Unlock()\n\tp.mu.Lock()\n\tp.released = true"}},
}

// deeper has mutants that take three preemptions, and the scenarios that find them.
var deeper = map[string]string{
	"a worker of a list is not counted in the step that looks":    "Gather/limit_3",
	"the loop over a list looks, and then says for what it waits": "AsCompleted/the_last_of_two_waits",
	"a permit that came with one that was lent is kept":           "Limiter/three_calls",
}

// TestMutants breaks the engine and expects that TestExplore finds it. Without
// -mutants it only looks whether the texts to break are still there.
func TestMutants(t *testing.T) {
	found := make([]int, 4)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			original, text := m.apply(t)
			if !*mutantsFlag {
				return
			}
			at, how := attack(t, m, original, text)
			t.Logf("%s", how)
			switch {
			case m.same != "":
				if at >= 0 {
					t.Errorf("it was thought to be no fault: %s", m.same)
				}
			case at < 0:
				t.Error("not found")
			default:
				found[at]++
			}
		})
	}
	if *mutantsFlag {
		t.Logf("found with no preemption, one, two, three: %v", found)
	}
}

// apply returns the path of the file and its text with the fault.
func (m mutant) apply(t *testing.T) (path, text string) {
	t.Helper()
	path, err := filepath.Abs("../crew/" + m.file + ".go")
	require.NoError(t, err)
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	text = string(source)
	for i := 0; i < len(m.edits); i += 2 {
		require.Equal(t, 1, strings.Count(text, m.edits[i]), "%q in %s", m.edits[i], path)
		text = strings.Replace(text, m.edits[i], m.edits[i+1], 1)
	}
	return path, text
}

// attack explores a broken engine, and returns the number of preemptions that
// it took to find it, and how; or -1.
func attack(t *testing.T, m mutant, original, text string) (preemptions int, how string) {
	t.Helper()
	dir := t.TempDir()
	broken, overlay, binary := filepath.Join(dir, m.file+".go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "explore.test")
	require.NoError(t, os.WriteFile(broken, []byte(text), 0o666))
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: broken}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replace, 0o666))
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-tags", "explore", "-overlay", overlay, "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	most, where := *bound, "TestExplore"
	switch {
	case m.same != "":
		most = min(most, 1) // or it takes a minute for each
	case deeper[m.name] != "":
		most, where = 3, "TestExplore/"+deeper[m.name]
	}
	for b := 0; b <= most; b++ {
		out, err := exec.Command(binary, "-test.v", "-test.run="+where, "-lean", "-lowest="+strconv.Itoa(b), "-bound="+strconv.Itoa(b)).CombinedOutput()
		if err == nil {
			continue
		}
		if m := failed.FindSubmatch(out); m != nil {
			n, _ := strconv.Atoi(string(m[2]))
			return n, string(m[1]) + ": " + string(m[3])
		}
		return b, "crash: " + string(out)
	}
	return -1, "not found"
}

// failed is what TestExplore prints of a failure: the scenario, the
// number of preemptions, and what went wrong.
var failed = regexp.MustCompile(`=== RUN   TestExplore/([^\n]*)\n(?:    [^\n]*\n)*?    [^\n]*FAILED with (\d+) preemptions: ([^\n]*)`)

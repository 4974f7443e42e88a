package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// outcome is what became of a mutant.
type outcome int

const (
	killed   outcome = iota // a test has failed, or not come to its end
	timedOut                // the tests together took too long; perhaps the machine was busy
	survived                // no test has noticed
	listed                  // it is known to be equivalent
)

func (o outcome) String() string {
	return [...]string{"killed", "timed out", "survived", "equivalent"}[o]
}

// tests are the test binaries, each with all mutants in it.
type tests struct {
	temp     string // where the binaries are
	number   map[*mutant]int
	binaries []*binary
}

// binary is the tests of one package.
type binary struct {
	path string
	dir  string // of the package, where they run

	// The quick tests go first, because most mutants need no others.
	slow                  string        // a regexp for the others
	quickTakes, slowTakes time.Duration // without a mutant
}

// build builds the tests with the mutants.
func build(ctx context.Context, code *module, mutants []*mutant, race bool) (*tests, error) {
	temp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	t := &tests{temp: temp, number: map[*mutant]int{}}
	for i, m := range mutants {
		t.number[m] = i + 1
	}
	if err := t.compile(ctx, code, mutants, race); err != nil {
		t.remove()
		return nil, err
	}
	return t, nil
}

// compile makes the binaries.
func (t *tests) compile(ctx context.Context, code *module, mutants []*mutant, race bool) error {
	byFile := map[string][]*mutant{}
	for _, m := range mutants {
		byFile[m.File] = append(byFile[m.File], m)
	}
	overlay := map[string]string{}
	replace := func(path, text string) error {
		overlay[path] = filepath.Join(t.temp, fmt.Sprintf("%d.go", len(overlay)))
		return os.WriteFile(overlay[path], []byte(text), 0o600)
	}
	for _, p := range code.packages {
		if err := replace(filepath.Join(p.dir, "switchboard.go"), fmt.Sprintf(switchboard, p.name, p.dir != code.dir)); err != nil {
			return err
		}
		for _, f := range p.files {
			if err := replace(f.path, weave(f.text, byFile[f.name], t.number)); err != nil {
				return err
			}
		}
	}
	index, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return err
	}
	list := filepath.Join(t.temp, "overlay.json")
	if err := os.WriteFile(list, index, 0o600); err != nil {
		return err
	}
	for i, dir := range code.tests {
		b := &binary{path: filepath.Join(t.temp, fmt.Sprintf("%d.test", i)), dir: dir}
		compile := exec.CommandContext(ctx, "go", "test", "-c", "-race="+strconv.FormatBool(race), "-vet=off", "-overlay", list, "-o", b.path, ".")
		compile.Dir = dir
		if out, err := compile.CombinedOutput(); err != nil {
			return fmt.Errorf("go test -c in %s: %w\n%s", dir, err, out)
		}
		t.binaries = append(t.binaries, b)
	}
	return nil
}

// remove removes the binaries.
func (t *tests) remove() { _ = os.RemoveAll(t.temp) } // what is left is in the folder for such

// slowest is how long a quick test takes at most.
const slowest = 30 * time.Millisecond

// measure runs the tests without a mutant: they must pass.
func (t *tests) measure(ctx context.Context) error {
	for _, b := range t.binaries {
		if err := b.measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *binary) measure(ctx context.Context) error {
	out, err := b.run(ctx, 0, time.Hour, "-test.v")
	if err != nil {
		return fmt.Errorf("the tests in %s fail without a mutant: %w\n%s", b.dir, err, out)
	}
	slow := []string{"the slow tests"}
	for _, m := range regexp.MustCompile(`(?m)^--- PASS: (\S+) \((.*)\)`).FindAllSubmatch(out, -1) {
		took, err := time.ParseDuration(string(m[2]))
		if err != nil {
			return err
		}
		if took > slowest {
			slow = append(slow, string(m[1]))
		}
	}
	b.slow = "^(" + strings.Join(slow, "|") + ")$"
	if b.quickTakes, err = b.takes(ctx, b.quick()); err != nil {
		return err
	}
	b.slowTakes, err = b.takes(ctx, b.others())
	return err
}

// takes is how long some of the tests take without a mutant. The times that
// they print themselves leave out subtests that run in parallel.
func (b *binary) takes(ctx context.Context, which string) (time.Duration, error) {
	start := time.Now()
	if out, err := b.run(ctx, 0, time.Hour, which); err != nil {
		return 0, fmt.Errorf("the tests in %s fail without a mutant: %w\n%s", b.dir, err, out)
	}
	return time.Since(start), nil
}

func (b *binary) quick() string  { return "-test.skip=" + b.slow }
func (b *binary) others() string { return "-test.run=" + b.slow }

// try runs the tests on a mutant until some fail: first the quick ones of all
// packages, then the slow ones.
func (t *tests) try(ctx context.Context, m *mutant) (outcome, error) {
	n := t.number[m]
	for _, b := range t.binaries {
		if result, err := b.try(ctx, n, b.quickTakes, b.quick()); err != nil || result != survived {
			return result, err
		}
	}
	for _, b := range t.binaries {
		if result, err := b.try(ctx, n, b.slowTakes, b.others()); err != nil || result != survived {
			return result, err
		}
	}
	return survived, nil
}

// try runs some of the tests on a mutant.
func (b *binary) try(ctx context.Context, number int, usual time.Duration, which string) (outcome, error) {
	timeout := patience(usual)
	out, err := b.run(ctx, number, timeout, which)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return survived, nil
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case !errors.As(err, &exit):
		return 0, err
	}
	return how(out, timeout), nil
}

// unfinished is a test that ran when the time was over.
var unfinished = regexp.MustCompile(`(?m)^\t\t\S+ \((\S+)\)$`)

// how tells from the output of tests that failed how they did. A test that
// alone took a third of the time, more than all of them take without a mutant,
// hangs: that is a failure like any other.
func how(out []byte, timeout time.Duration) outcome {
	before, running, expired := bytes.Cut(out, []byte("panic: test timed out"))
	if !expired || bytes.Contains(before, []byte("--- FAIL: ")) {
		return killed
	}
	if !bytes.Contains(running, []byte("running tests:")) && bytes.Contains(running, []byte("testing.runExample(")) {
		return killed // an example, which is not named
	}
	for _, m := range unfinished.FindAllSubmatch(running, -1) {
		if took, err := time.ParseDuration(string(m[1])); err == nil && took > timeout/3 {
			return killed
		}
	}
	return timedOut
}

// patience is how long a mutant may take for what takes usual without it.
func patience(usual time.Duration) time.Duration { return 3*usual + 8*time.Second }

// run runs the tests on a mutant.
func (b *binary) run(ctx context.Context, number int, timeout time.Duration, args ...string) ([]byte, error) {
	args = append(args, "-test.failfast", "-test.timeout="+timeout.String())
	cmd := exec.CommandContext(ctx, b.path, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("MUTANT=%d", number))
	return cmd.CombinedOutput()
}

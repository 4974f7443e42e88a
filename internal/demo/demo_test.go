package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the program itself, for the tests that send
// it a signal.
func TestMain(m *testing.M) {
	if os.Getenv("BE_DEMO") != "" {
		main()
	}
	os.Exit(m.Run())
}

// outcome is what the user of one run sees.
type outcome struct {
	status         int
	stdout, stderr string
}

// demo runs the program with a server of 5 pages.
func demo(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), 5, args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

// watcher is an output that calls seen, once, when text is in it.
type watcher struct {
	written strings.Builder
	text    string
	seen    func()
	once    sync.Once
}

func (w *watcher) Write(b []byte) (int, error) {
	w.written.Write(b)
	if strings.Contains(w.String(), w.text) {
		w.once.Do(w.seen)
	}
	return len(b), nil
}

func (w *watcher) String() string { return w.written.String() }

// website starts a server. The handler's paths are its pages.
func website(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// hang never answers.
func hang(r *http.Request) { <-r.Context().Done() }

// refused is the URL of a server that is gone.
func refused(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return "http://" + listener.Addr().String() + "/refused"
}

// lines are those lines of the output that match.
func lines(output, pattern string) []string {
	return regexp.MustCompile("(?m)^.*"+pattern+".*$").FindAllString(output, -1)
}

var controls = regexp.MustCompile(`[^\P{C}\n]`)

func TestDefaultRunShowsEveryPageAndComparesBothPasses(t *testing.T) {
	o := demo(t, "")
	assert.Equal(t, allHere, o.status)
	assert.Empty(t, o.stderr)
	assert.Len(t, lines(o.stdout, `/page/\d$`), 5)
	for n := range 5 {
		assert.Len(t, lines(o.stdout, fmt.Sprintf("^%d/5 .* kB  http://127.0.0.1:.*/page/", n+1)), 1)
		assert.Len(t, lines(o.stdout, fmt.Sprintf(" kB  http://127.0.0.1:.*/page/%d", n+1)), 1)
	}
	assert.Len(t, lines(o.stdout, "^5/5 .* kB  all pages"), 1)
	assert.Len(t, lines(o.stdout, `^ +AsCompleted +Gather`), 1)
	for _, row := range []string{"first page", `half \(3\)`, `all \(5\)`} {
		assert.Len(t, lines(o.stdout, "^"+row+` +\d+ ms +\d+ ms`), 1)
	}
}

func TestOutputThatIsNoTerminalHasNoControlCharacters(t *testing.T) {
	o := demo(t, "")
	assert.NotRegexp(t, controls, o.stdout)

	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://\u009b31m.invalid:x")
		w.WriteHeader(http.StatusFound)
	})
	o = demo(t, server.URL+"/\u009b2J\u202e", "-urls", "-")
	assert.Equal(t, someFailed, o.status)
	assert.NotRegexp(t, controls, o.stdout+o.stderr)
}

func TestFilesAreNotTerminals(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, allHere, run(t.Context(), 2, nil, nil, file, io.Discard))
	written, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	assert.Contains(t, string(written), "all (2)")
	assert.NotRegexp(t, controls, string(written))
}

func TestAPageIsShownWhileOthersStillLoad(t *testing.T) {
	shown := make(chan struct{})
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-shown // in the first pass, /quick has been shown before this answers
		}
	})
	stdout := &watcher{text: "/quick", seen: func() { close(shown) }}
	list := strings.NewReader(server.URL + "/slow\n" + server.URL + "/quick\n")
	assert.Equal(t, allHere, run(t.Context(), 0, []string{"-urls", "-"}, list, stdout, io.Discard))
	assert.Regexp(t, `(?s)1/2 .*/quick\n2/2 .*/slow\n`, stdout.String())
}

func TestOrderInputShowsThePagesInTheOrderOfTheList(t *testing.T) {
	quick := make(chan struct{})
	var once sync.Once
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-quick
		} else {
			once.Do(func() { close(quick) })
		}
	})
	o := demo(t, server.URL+"/slow\n"+server.URL+"/quick\n", "-urls", "-", "-order", "input")
	assert.Equal(t, allHere, o.status)
	assert.Regexp(t, `(?s)^InOrder: .*1/2 .*/slow\n2/2 .*/quick\n.* InOrder +Gather\n`, o.stdout)
	assert.Equal(t, allHere, demo(t, "", "-order", "finish").status)
}

func TestLimitBoundsThePagesAtOnce(t *testing.T) {
	var now, most atomic.Int64
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		now.Add(-1) // before the answer, which lets the next page start
	})
	var list strings.Builder
	for i := range 20 {
		fmt.Fprintf(&list, "%s/%d\n", server.URL, i)
	}
	o := demo(t, list.String(), "-urls", "-", "-limit", "2")
	assert.Equal(t, allHere, o.status)
	assert.LessOrEqual(t, most.Load(), int64(2))
	assert.Len(t, lines(o.stdout, `kB  http://`), 20)
}

func TestLimitOneFetchesInTheOrderOfTheList(t *testing.T) {
	o := demo(t, "", "-limit", "1")
	assert.Equal(t, allHere, o.status)
	assert.Regexp(t, `(?s)1/5 .*/page/1\n2/5 .*/page/2\n3/5 .*/page/3\n4/5 .*/page/4\n5/5 .*/page/5\n`, o.stdout)
}

func TestTimeoutFailsThePagesThatAreNotHereThen(t *testing.T) {
	server := website(t, func(w http.ResponseWriter, r *http.Request) { hang(r) })
	o := demo(t, server.URL+"/a\n"+server.URL+"/b\n", "-urls", "-", "-timeout", "50ms", "-limit", "1")
	assert.Equal(t, someFailed, o.status)
	assert.Len(t, lines(o.stdout, "/a: .*time is up after 50ms"), 2, "once in each pass")
	assert.Len(t, lines(o.stdout, "/b: .*not started: time is up after 50ms"), 1)
	assert.Len(t, lines(o.stdout, "Gather stops at the first error: done 0 of 2 pages, canceled 1"), 1)
	assert.Len(t, lines(o.stdout, `^first page +never +never`), 1)
}

func TestTimeoutThatIsLongEnoughChangesNothing(t *testing.T) {
	assert.Equal(t, allHere, demo(t, "", "-timeout", "10m").status)
}

func TestFailedPagesAreToldAndTheOthersArrive(t *testing.T) {
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		case "/endless":
			for page := make([]byte, 1<<20); ; {
				if _, err := w.Write(page); err != nil {
					return
				}
			}
		case "/broken":
			w.Header().Set("Content-Length", "10")
		default:
			fmt.Fprint(w, "hello")
		}
	})
	gone := refused(t)
	list := filepath.Join(t.TempDir(), "urls.txt")
	require.NoError(t, os.WriteFile(list, []byte(strings.Join([]string{
		"# my pages", "", server.URL + "/a", gone, "  " + server.URL + "/500\r",
		server.URL + "/endless", server.URL + "/broken", server.URL + "/b",
	}, "\n")), 0o600))

	o := demo(t, "", "-urls", list)
	assert.Equal(t, someFailed, o.status)
	assert.Empty(t, o.stderr)
	stream, gather, both := strings.Cut(o.stdout, "Gather: ")
	require.True(t, both)
	assert.Len(t, lines(stream, "0.0 kB  "+server.URL+"/[ab]$"), 2)
	assert.Len(t, lines(stream, "FAILED  "+gone+": .*refused"), 1)
	assert.Len(t, lines(stream, "FAILED  .*/500: the server answered 500 Internal Server Error"), 1)
	assert.Len(t, lines(stream, "FAILED  .*/endless: the page is larger than 16 MiB"), 1)
	assert.Len(t, lines(stream, "FAILED  .*/broken: the page broke off: unexpected EOF"), 1)
	assert.Len(t, lines(gather, "FAILED  http://"), 1)
	assert.Len(t, lines(gather, "Gather stops at the first error: done [012] of 6 pages, canceled [345]"), 1)
	assert.Len(t, lines(gather, `^all \(6\) +never +never`), 1)
}

func TestGatherThatFailsHasNoFirstPage(t *testing.T) {
	var requests atomic.Int64
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 3 { // the first pass, and the first page of the second
			w.WriteHeader(http.StatusNotFound)
		}
	})
	o := demo(t, server.URL+"/a\n"+server.URL+"/b\n", "-urls", "-", "-limit", "1")
	assert.Equal(t, someFailed, o.status)
	assert.Len(t, lines(o.stdout, "Gather stops at the first error: done 1 of 2 pages, canceled 0"), 1)
	assert.Len(t, lines(o.stdout, `^first page +\d+ ms +never`), 1)
	assert.Len(t, lines(o.stdout, `^half \(1\) +\d+ ms +never`), 1)
	assert.Len(t, lines(o.stdout, `^all \(2\) +\d+ ms +never`), 1)
}

func TestOnePageThatFailsInGatherOnlyCountsToo(t *testing.T) {
	var requests atomic.Int64
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	o := demo(t, server.URL, "-urls", "-")
	assert.Equal(t, someFailed, o.status)
	assert.Len(t, lines(o.stdout, `^all \(1\) +\d+ ms +never`), 1)
}

func TestBadUseIsToldInOneLineEach(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		name  string
		args  []string
		stdin string
		want  []string
	}{
		{"unknown flag", []string{"-fast"}, "", []string{"flag provided but not defined: -fast"}},
		{"extra argument", []string{"-limit", "2", "more"}, "", []string{`unexpected argument "more"`}},
		{"no value", []string{"-limit"}, "", []string{"flag needs an argument: -limit"}},
		{"limit is no number", []string{"-limit", "x"}, "", []string{`"x" for flag -limit: want a whole number, 0 or more`}},
		{"limit below 0", []string{"-limit", "-1"}, "", []string{`"-1" for flag -limit: want a whole number, 0 or more`}},
		{"timeout without unit", []string{"-timeout", "5"}, "", []string{`"5" for flag -timeout: want a time like`}},
		{"timeout below 0", []string{"-timeout", "-5s"}, "", []string{`"-5s" for flag -timeout: want a time like`}},
		{"unknown order", []string{"-order", "size"}, "", []string{`"size" for flag -order: want finish or input`}},
		{"empty name for the picture", []string{"-svg", ""}, "", []string{`"" for flag -svg: want the name of a file`}},
		{"two at once", []string{"-timeline", "-restaurant"}, "", []string{"-restaurant and -timeline do not go together"}},
		{"three at once", []string{"-million", "-svg", "x", "-timeline"}, "", []string{"-timeline and -svg and -million do not go together"}},
		{"restaurant with a list", []string{"-restaurant", "-urls", "-"}, "", []string{"-restaurant fetches nothing: it goes with -limit and -timeout only"}},
		{"timeline with an order", []string{"-timeline", "-order", "input"}, "", []string{"-timeline fetches nothing"}},
		{"picture with a list", []string{"-svg", "x", "-urls", "-"}, "", []string{"-svg fetches nothing"}},
		{"million with a list", []string{"-million", "-urls", "-"}, "", []string{"-million fetches nothing"}},
		{"empty name", []string{"-urls", ""}, "", []string{`"" for flag -urls: want the name of a file`}},
		{"no such file", []string{"-urls", filepath.Join(dir, "none")}, "", []string{"none: "}},
		{"a directory", []string{"-urls", dir}, "", []string{filepath.Base(dir)}},
		{"empty list", []string{"-urls", "-"}, "\n# nothing\n", []string{"standard input: no URLs"}},
		{"malformed URLs", []string{"-urls", "-"}, "http://127.0.0.1/\nexample.com\n\nftp://127.0.0.1/\nhttp://\nhttp://:80/\nhttp://[::1\nhttp://a b/\n", []string{
			`standard input, line 2: "example.com" does not begin with http:// or https://`,
			`standard input, line 4: "ftp://127.0.0.1/" does not begin with http:// or https://`,
			`standard input, line 5: "http://" has no host`,
			`standard input, line 6: "http://:80/" has no host`,
			`standard input, line 7: `,
			`standard input, line 8: `,
		}},
		{"endless line", []string{"-urls", "-"}, "#\n" + strings.Repeat("x", 1<<20), []string{"standard input, line 2: "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := demo(t, test.stdin, test.args...)
			assert.Equal(t, badUse, o.status)
			assert.Empty(t, o.stdout)
			complaints := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
			require.Len(t, complaints, len(test.want), o.stderr)
			for i, want := range test.want {
				assert.True(t, strings.HasPrefix(complaints[i], "demo: "), complaints[i])
				assert.Contains(t, complaints[i], want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	o := demo(t, "", "-h")
	assert.Equal(t, outcome{status: allHere, stdout: usage}, o)
}

func TestInterruptInTheLoopTellsHowManyPagesWereDone(t *testing.T) {
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quick" {
			hang(r)
		}
	})
	list := strings.NewReader(server.URL + "/a\n" + server.URL + "/quick\n" + server.URL + "/b\n")
	ctx, interrupt := context.WithCancel(t.Context())
	stdout := &watcher{text: "/quick", seen: interrupt}
	var stderr bytes.Buffer
	assert.Equal(t, interrupted, run(ctx, 0, []string{"-urls", "-"}, list, stdout, &stderr))
	assert.Equal(t, "demo: interrupted in AsCompleted: 1 of 3 pages were done\n", stderr.String())
	assert.NotContains(t, stdout.String(), "FAILED")
	assert.NotContains(t, stdout.String(), "Gather")
}

func TestInterruptInGatherTellsHowManyPagesWereDone(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	var requests atomic.Int64
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 2 { // the first pass has had both pages
			interrupt()
			hang(r)
		}
	})
	list := strings.NewReader(server.URL + "/a\n" + server.URL + "/b\n")
	var stdout, stderr bytes.Buffer
	assert.Equal(t, interrupted, run(ctx, 0, []string{"-urls", "-"}, list, &stdout, &stderr))
	assert.Equal(t, "demo: interrupted in Gather: 0 of 2 pages were done\n", stderr.String())
	assert.NotContains(t, stdout.String(), "FAILED")
}

func TestInterruptWhileTheListIsRead(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	stdin, typist := io.Pipe()
	t.Cleanup(func() { assert.NoError(t, typist.Close()) })
	go func() {
		io.WriteString(typist, "http://127.0.0.1/\n")
		interrupt()
	}()
	var stderr bytes.Buffer
	assert.Equal(t, interrupted, run(ctx, 0, []string{"-urls", "-"}, stdin, io.Discard, &stderr))
	assert.Equal(t, "demo: interrupted while reading the list\n", stderr.String())
}

func TestSignalsInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a program cannot send a signal to another there")
	}
	server := website(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quick" {
			hang(r)
		}
	})
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			program := exec.CommandContext(t.Context(), os.Args[0], "-urls", "-")
			program.Env = append(os.Environ(), "BE_DEMO=1")
			program.Stdin = strings.NewReader(server.URL + "/quick\n" + server.URL + "/slow\n")
			program.Stdout = &watcher{text: "/quick", seen: func() { assert.NoError(t, program.Process.Signal(signal)) }}
			var stderr bytes.Buffer
			program.Stderr = &stderr
			require.Error(t, program.Run())
			assert.Equal(t, interrupted, program.ProcessState.ExitCode())
			assert.Equal(t, "demo: interrupted in AsCompleted: 1 of 2 pages were done\n", stderr.String())
		})
	}
}

func TestTheServerHasTheSamePagesInEveryRun(t *testing.T) {
	sizes := func() []string {
		o := demo(t, "", "-order", "input")
		return regexp.MustCompile(`[\d.]+ kB`).FindAllString(o.stdout, -1)
	}
	first := sizes()
	assert.Len(t, first, 6)
	assert.Equal(t, first, sizes())
}

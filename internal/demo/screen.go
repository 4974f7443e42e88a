package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// home begins whatever goes above or into a bar: a terminal shows Ctrl-C as ^C,
// and the line must not begin after that.
const home = "\r"

// screen shows lines and, on a terminal, a progress bar below them.
type screen struct {
	lines io.Writer     // used if there is no terminal
	bars  *mpb.Progress // used if there is one
	bar   *mpb.Bar
}

func newScreen(out io.Writer, name string, total int) *screen {
	if !isTerminal(out) {
		return &screen{lines: out}
	}
	began := time.Now()
	// Lines appear when the bar is drawn, so it is drawn often.
	bars := mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(20*time.Millisecond))
	bar := bars.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name(home+name), decor.CountersNoUnit(" %d/%d")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			return fmt.Sprintf("%.1f s", time.Since(began).Seconds())
		})),
	)
	return &screen{bars: bars, bar: bar}
}

// show shows a line; done is how many of the total are done.
func (s *screen) show(done int, line string) {
	if s.bars == nil {
		fmt.Fprintln(s.lines, line)
		return
	}
	fmt.Fprintln(s.bars, home+line)
	s.bar.SetCurrent(int64(done))
}

// close leaves the lines and the bar as they are.
func (s *screen) close() {
	if s.bars != nil {
		s.bar.Abort(false) // the bar waits to be full otherwise
		s.bars.Wait()
	}
}

// columns is the width of the terminal, or 80 if out is none.
func columns(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

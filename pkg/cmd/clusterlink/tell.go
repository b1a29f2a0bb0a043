package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// teller tells people on standard error what goes on. On a terminal the line of what goes on moves: it is written over
// each second. Elsewhere it is written when it has changed, and once a minute.
type teller struct {
	w       io.Writer
	moves   bool
	columns func() int // of the terminal

	mu      sync.Mutex
	doing   string // what goes on; "" is nothing
	since   time.Time
	written time.Time // when doing was last written
	stop    chan struct{}
}

// say writes a line that stays.
func (t *teller) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	fmt.Fprintln(t.w, text.Line(fmt.Sprintf(format, args...), text.MaxCell))
	t.write()
}

// ask writes the beginning of a line that a person ends.
func (t *teller) ask(question string) {
	t.done()
	fmt.Fprint(t.w, text.Line(question, text.MaxCell))
}

// now says what goes on from now.
func (t *teller) now(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := text.Line(fmt.Sprintf(format, args...), text.MaxCell)
	if line == t.doing {
		return
	}
	if t.doing = line; t.stop == nil {
		t.since, t.stop = time.Now(), make(chan struct{})
		go t.tick(t.stop)
	}
	if t.written = time.Now(); t.moves {
		t.write()
	} else {
		fmt.Fprintln(t.w, line)
	}
}

// done says that nothing goes on.
func (t *teller) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	if t.doing = ""; t.stop != nil {
		close(t.stop)
		t.stop = nil
	}
}

// tick writes what goes on again and again.
func (t *teller) tick(stop <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			t.mu.Lock()
			switch {
			case t.stop != stop:
			case t.moves:
				t.write()
			case now.Sub(t.written) >= time.Minute:
				t.written = now
				fmt.Fprintf(t.w, "%s (%v)\n", t.doing, now.Sub(t.since).Round(time.Second))
			}
			t.mu.Unlock()
		}
	}
}

// write writes what goes on on the moving line.
func (t *teller) write() {
	if t.doing == "" || !t.moves {
		return
	}
	line := fmt.Sprintf("%v %s", time.Since(t.since).Round(time.Second), t.doing)
	room := max(1, t.columns()-1)
	for text.Width(line) > room {
		line = strings.TrimSuffix(line, line[len(line)-1:])
	}
	fmt.Fprint(t.w, "\r"+line+"\x1b[K")
}

// clear takes the moving line away.
func (t *teller) clear() {
	if t.doing != "" && t.moves {
		fmt.Fprint(t.w, "\r\x1b[K")
	}
}

// limiterLog is the Logger of the clients: it tells of waits.
type limiterLog struct{ *teller }

func (limiterLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l limiterLog) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l limiterLog) WithGroup(string) slog.Handler                  { return l }

func (l limiterLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "wait" {
			l.now("%s", r.Message)
		}
		return true
	})
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// teller reports progress to people on standard error. On a terminal the progress line is rewritten each second.
// Elsewhere the line is written after each change, and once a minute.
type teller struct {
	w       io.Writer
	moves   bool
	columns func() int // of the terminal

	mu      sync.Mutex
	doing   string // the present work; "" is none
	since   time.Time
	written time.Time // when doing was last written
	stop    chan struct{}
}

// print writes a text. A write error is no reason to end.
func (t *teller) print(format string, args ...any) { _, _ = fmt.Fprintf(t.w, format, args...) }

// say writes a line that stays on the terminal.
func (t *teller) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.move("")
	t.print("%s\n", text.Line(fmt.Sprintf(format, args...), text.MaxCell))
	t.move(t.doing)
}

// ask writes a question without a line break.
func (t *teller) ask(question string) {
	t.done()
	t.print("%s", text.Line(question, text.MaxCell))
}

// now sets the progress line.
func (t *teller) now(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := text.Line(fmt.Sprintf(format, args...), text.MaxCell)
	if line == t.doing {
		return
	}
	if t.doing == "" {
		t.since, t.stop = time.Now(), make(chan struct{})
		go t.tick(t.stop)
	}
	t.doing, t.written = line, time.Now()
	if !t.moves {
		t.print("%s\n", line)
	}
	t.move(line)
}

// done removes the progress line.
func (t *teller) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.doing != "" {
		t.move("")
		close(t.stop)
		t.doing = ""
	}
}

// tick repeats the progress line.
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
			case t.stop != stop || t.doing == "":
			case t.moves:
				t.move(t.doing)
			case now.Sub(t.written) >= time.Minute:
				t.written = now
				t.print("%s (%v)\n", t.doing, now.Sub(t.since).Round(time.Second))
			}
			t.mu.Unlock()
		}
	}
}

// move rewrites the progress line of a terminal; "" clears the line.
func (t *teller) move(line string) {
	if !t.moves || t.doing == "" {
		return
	}
	if line != "" {
		line = fmt.Sprintf("%v %s", time.Since(t.since).Round(time.Second), line)
	}
	for runes := []rune(line); text.Width(line) >= t.columns(); line = string(runes) {
		runes = runes[:len(runes)-1]
	}
	t.print("\r%s\x1b[K", line)
}

// limiterLog is the Logger of the clients. It reports waits.
type limiterLog struct{ *teller }

func (limiterLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l limiterLog) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l limiterLog) WithGroup(string) slog.Handler                  { return l }

func (l limiterLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "wait" {
			l.now("%s, for a minute at most", r.Message)
		}
		return true
	})
	return nil
}

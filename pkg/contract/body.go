package contract

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// capture keeps a copy of a body as the body is read, up to a limit. A transport may still be sending the request's
// body when the response arrives.
type capture struct {
	mu    sync.Mutex
	bytes []byte
	limit int
	over  bool
	ended bool
}

func (c *capture) keep(p []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = c.ended || errors.Is(err, io.EOF)
	if c.over = c.over || len(c.bytes)+len(p) > c.limit; c.over {
		c.bytes = nil
		return
	}
	c.bytes = append(c.bytes, p...)
}

// get returns the captured bytes, whether these are the whole body, and whether the body was too long to keep. The
// length is the announced length, or at most 0 if none was announced. Later reads do not change the returned bytes.
func (c *capture) get(length int64) (body []byte, whole, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clip(c.bytes), c.ended || length > 0 && length == int64(len(c.bytes)), c.over
}

// tap passes a body through unchanged, and captures a copy. It calls end once: at the end of the body, or when the
// body is closed.
type tap struct {
	io.ReadCloser
	to   *capture
	end  func()
	once sync.Once
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.to.keep(p[:n], err)
	if errors.Is(err, io.EOF) {
		t.once.Do(t.end)
	}
	return n, err
}

func (t *tap) Close() error {
	t.once.Do(t.end)
	return t.ReadCloser.Close()
}

var (
	errEncoding = errors.New("its content encoding cannot be decoded here")
	errTooLong  = errors.New("it is too long")
	errTooDeep  = errors.New("it is nested too deeply")
)

// decode removes the content encoding of a body. If the body is cut short, decode returns the decoded part and an
// error that is neither errEncoding nor errTooLong.
func decode(h http.Header, body []byte, limit int) ([]byte, error) {
	var encodings []string
	for _, e := range strings.Split(strings.Join(valuesOf(h, "Content-Encoding"), ","), ",") {
		if e = strings.ToLower(strings.TrimSpace(e)); e != "" && e != "identity" {
			encodings = append(encodings, e)
		}
	}
	if len(encodings) == 0 {
		return body, nil
	}
	var decoder io.Reader
	var err error
	switch encodings[0] {
	case "gzip", "x-gzip":
		decoder, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		decoder, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return nil, errEncoding
	}
	switch {
	case len(encodings) > 1:
		return nil, errEncoding
	case err != nil:
		return nil, err
	}
	decoded, err := io.ReadAll(io.LimitReader(decoder, int64(limit)+1))
	if len(decoded) > limit {
		return nil, errTooLong
	}
	return decoded, err
}

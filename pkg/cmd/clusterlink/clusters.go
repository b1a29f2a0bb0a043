package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// cluster is the cluster in one set of variables.
type cluster struct {
	*mirror.Client       // nil if err is set
	err            error // the error in the variables
}

func (a *app) cluster(prefix string) (c cluster) {
	if endpoint := prefix + "KAFKA_REST_ENDPOINT"; os.Getenv(endpoint) == "" {
		c.err = fmt.Errorf("%s is not set: see clusterlink -h", endpoint)
		return c
	}
	cfg, err := mirror.ConfigFromEnv(prefix)
	if err == nil {
		cfg.Logger = slog.New(limiterLog{&a.tell})
		if a.dial != nil {
			cfg.Transport = a.dial
		}
		c.Client, err = mirror.NewClient(cfg)
	}
	if c.err = err; err != nil { // the command has no such setting
		c.err = errors.New(strings.ReplaceAll(err.Error(), ", or set AllowHTTP", ""))
	}
	return c
}

// clusters returns the cluster with the id and the cluster at the other end of the link. Without an id, the first set
// of variables is for this cluster. The other cluster's variables may be wrong.
func (a *app) clusters(id string) (this, other cluster, err error) {
	this, other = a.cluster(a.envPrefix), a.cluster(a.otherPrefix)
	if id != "" && this.ClusterID() != id {
		this, other = other, this
	}
	switch {
	case id == "":
		err = this.err
	case this.ClusterID() != id:
		err = fmt.Errorf("no variables are about cluster %s: %s; %s", text.Quote(id), other.about(), this.about())
	}
	if other.err == nil && other.ClusterID() == this.ClusterID() {
		other = cluster{err: fmt.Errorf("both sets of variables are about cluster %s", text.Quote(this.ClusterID()))}
	}
	return this, other, err
}

// about returns which cluster the variables name, or the error in the variables.
func (c cluster) about() string {
	if c.err != nil {
		return c.err.Error()
	}
	return "one set is about " + text.Quote(c.ClusterID())
}

// pair returns the clusters for a verb, which may need both.
func (a *app) pair(v mirror.Verb, id string) (this, other cluster, err error) {
	this, other, err = a.clusters(id)
	if err == nil && reverses(v) && other.err != nil {
		err = fmt.Errorf("%s needs both clusters: %w", short(v), other.err)
	}
	return this, other, err
}

// link reads the cluster's side of a link. A cluster that is not needed gets one request and 10 s.
func (c cluster) link(ctx context.Context, link string, needed bool) (mirror.LinkInfo, error) {
	switch {
	case c.err != nil:
		return mirror.LinkInfo{}, c.err
	case needed:
		return c.Link(ctx, link)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.WithRetryFor(-1).Link(ctx, link)
}

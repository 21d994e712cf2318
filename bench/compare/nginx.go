// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// nginxConf is nginx with what its manual recommends for a proxy: connections to the
// backend are kept, nothing is written to disk, and uploads go through as they come. The
// backend itself asks it not to buffer streams.
const nginxConf = `
user root;
daemon off;
worker_processes auto;
worker_rlimit_nofile 8192;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[1]s;
	proxy_temp_path %[1]s;
	fastcgi_temp_path %[1]s;
	uwsgi_temp_path %[1]s;
	scgi_temp_path %[1]s;
	client_max_body_size 0;
	client_body_buffer_size 64k;
	keepalive_requests 1000000000;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host $host;
	proxy_read_timeout 1h;
	proxy_request_buffering off;
	proxy_max_temp_file_size 0;
	upstream backend { server %[3]s; keepalive 64; keepalive_requests 1000000000; }
	upstream auth { server %[4]s; keepalive 64; keepalive_requests 1000000000; }
	server {
		listen 127.0.0.1:%[2]d;
		location / {
			%[5]s
			proxy_pass http://backend;
		}
		location = /auth {
			internal;
			proxy_pass http://auth;
			proxy_pass_request_body off;
			proxy_set_header Content-Length "";
			proxy_set_header Connection "";
		}
	}
}
`

// askAuth is auth_request, and the new Authorization for the backend. A location that
// sets one header for the backend inherits none.
const askAuth = `auth_request /auth;
			auth_request_set $upstream_authorization $upstream_http_authorization;
			proxy_set_header Authorization $upstream_authorization;
			proxy_set_header Connection "";
			proxy_set_header Host $host;`

// nginxWith starts nginx, with or without auth_request.
func nginxWith(auth bool) func(*world, *system, int) error {
	return func(w *world, s *system, _ int) error {
		port, err := w.port()
		if err != nil {
			return err
		}
		dir := filepath.Join(w.dir, "nginx-"+strconv.Itoa(port))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		ask := ""
		if auth {
			ask, s.guarded, s.own = askAuth, true, append(s.own, w.auth)
		}
		conf, err := w.file("nginx.conf", fmt.Sprintf(nginxConf, dir, port, w.addr, w.authAddr, ask))
		if err != nil {
			return err
		}
		p, err := w.spawn("keep", "nginx", "-p", dir, "-c", conf)
		if err != nil {
			return err
		}
		s.addr, s.own = fmt.Sprintf("127.0.0.1:%d", port), append(s.own, p)
		return s.await(p)
	}
}

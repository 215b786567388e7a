# Targets only; the work is done by the scripts in tools/.
#
#   make                build the module for the installed nginx
#   make run            a server to try it on, PORT=8080 LLM_UPSTREAM=URL
#   make test           all tests, or TESTS="t/a.t t/b.t"
#   make check          compilers, linters and style
#   make asan           the tests on an nginx with sanitizers
#   make fuzz           fuzz targets, TIME=60 seconds each, FUZZ="key sse"
#   make matrix         builds and tests for each of NGINX_SRCS="DIR DIR"
#   make bench          measures it beside others, ROUNDS=5 SECONDS=2 FULL=1
#   make bench-semantic PAIRS=FILE
#                       the semantic tier on pairs of texts
#   make install        into the installed nginx's module directory; DESTDIR=,
#                       MODULES_DIR=
#   make uninstall      removes that again
#   make package        a Debian package
#   make clean
#
# NGINX_SRC=DIR builds and uses nginx from a source tree.

PORT ?= 8080
TIME ?= 60

export NGINX NGINX_SRC NGINX_SRCS NGINX_CONFIGURE LLM_UPSTREAM PORT TESTS TIME
export FUZZ VARIANTS DESTDIR CFLAGS LDFLAGS ROUNDS CONNECTIONS ROWS FULL PAIRS
export MODELS SVG MODULES_DIR VERSION

# SECONDS itself counts on in a shell
export BENCH_SECONDS = $(SECONDS)

# make's own default for CC is no choice of the user's
ifneq ($(origin CC),default)
export CC
endif

.PHONY: all build run test check asan fuzz matrix bench bench-semantic \
        install uninstall package clean

all: build

build run test check asan fuzz matrix bench bench-semantic install \
uninstall package:
	@tools/$@.sh

clean:
	rm -rf build

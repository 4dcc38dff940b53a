# Recall on processors: the CPU backend with OpenBLAS, and OpenCL by PoCL.
#
#   docker build -f docker/cpu.Dockerfile -t recall .
#
# The bases are exact tags; docker/README.md says how they were chosen and how to pin them by digest.
ARG SWIFT=swift:6.3.1-bookworm
ARG DEBIAN=debian:bookworm-20260824-slim

FROM ${SWIFT} AS build
WORKDIR /source
COPY . .
RUN swift build -c release --static-swift-stdlib --product recall \
  && strip --output-file=/recall "$(swift build -c release --static-swift-stdlib --show-bin-path)/recall"

FROM ${DEBIAN}
# What the program opens at run time. PoCL brings the compiler that it needs.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends \
    libopenblas0-pthread=0.3.21+ds-4 \
    libyaml-0-2=0.2.5-1 \
    ocl-icd-libopencl1=2.3.1-1 \
    pocl-opencl-icd=3.1-3+deb12u1 \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /recall /usr/local/bin/recall

# Compiled kernels and digests are kept in /cache, which any user may write, as docker run --user chooses one.
RUN groupadd --system --gid 10001 recall \
  && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /cache recall \
  && install --directory --mode 1777 /cache \
  && install --directory --owner recall --group recall /models /output
ENV XDG_CACHE_HOME=/cache
VOLUME /cache
WORKDIR /output
USER 10001:10001
ENTRYPOINT ["recall"]
CMD ["--help"]

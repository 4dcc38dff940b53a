# Recall on NVIDIA GPUs: NVRTC compiles the kernels, cuBLAS multiplies; the driver comes from the host.
#
#   docker build -f docker/cuda.Dockerfile -t recall:cuda .
#   docker run --gpus all recall:cuda devices
#
# The bases are exact tags; docker/README.md says how they were chosen and how to pin them by digest.
ARG SWIFT=swift:6.3.1-bookworm
ARG DEBIAN=debian:bookworm-20260824-slim

FROM ${SWIFT} AS build
WORKDIR /source
COPY . .
RUN swift build -c release --static-swift-stdlib --product recall \
  && strip --output-file=/recall "$(swift build -c release --static-swift-stdlib --show-bin-path)/recall"

# NVIDIA's own builds of the two libraries, held to their hashes; a toolkit's image would bring thirty more.
FROM ${DEBIAN} AS libraries
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3-pip=23.0.1+dfsg-1 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /packages
COPY docker/cuda-libraries.txt .
RUN pip install --no-cache-dir --no-deps --require-hashes --target . --requirement cuda-libraries.txt \
  && install --directory /cuda \
  && mv nvidia/*/lib/lib*.so* /cuda \
  && rm -f /cuda/libnvblas.so* /cuda/*.alt.so*

FROM ${DEBIAN}
# What reads recipes in YAML.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libyaml-0-2=0.2.5-1 \
  && rm -rf /var/lib/apt/lists/*
COPY --from=libraries /cuda /usr/local/lib/cuda
RUN echo /usr/local/lib/cuda > /etc/ld.so.conf.d/cuda.conf \
  && ldconfig
COPY --from=build /recall /usr/local/bin/recall

# Compiled kernels and digests are kept in /cache, which any user may write, as docker run --user chooses one.
RUN groupadd --system --gid 10001 recall \
  && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /cache recall \
  && install --directory --mode 1777 /cache \
  && install --directory --owner recall --group recall /models /output
# What the NVIDIA container toolkit reads: which GPUs and which parts of the driver to bring in.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility XDG_CACHE_HOME=/cache
VOLUME /cache
WORKDIR /output
USER 10001:10001
ENTRYPOINT ["recall"]
CMD ["--help"]

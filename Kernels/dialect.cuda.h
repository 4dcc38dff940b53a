// The words of the kernels in CUDA C++, as NVRTC compiles it without headers. Needs --fmad=false: a product and a sum are
// rounded each, unless a kernel writes fma.

// A quotient is the nearest float: NVRTC divides so unless it is told otherwise.
#define QUOTIENTS_ARE_ROUNDED

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long long ulong;

#define KERNEL extern "C" __global__ void __launch_bounds__(GROUP_SIZE)
// A kernel of which so many groups share a multiprocessor; the compiler may use the registers that this leaves.
#define KERNEL_SHARED_BY(COUNT) extern "C" __global__ void __launch_bounds__(GROUP_SIZE, COUNT)
#define FUNCTION static __device__ __forceinline__
#define GLOBAL
#define LOCAL __shared__
// Local memory that is read four floats at a time.
#define LOCAL_FOURS __shared__ __align__(16)
// The address space of what a pointer to local memory points to.
#define LOCAL_SPACE
#define CONSTANT __constant__

// The number of this work-item in its group, of its group, and of groups.
#define ITEM ((uint)threadIdx.x)
#define GROUP ((ulong)blockIdx.x)
#define GROUPS ((ulong)gridDim.x)
// Waits for the group, whose writes to local memory are seen after it.
#define BARRIER() __syncthreads()

// Before a loop of fixed length whose arrays have to stay in registers.
#define UNROLL _Pragma("unroll")

#define LOCAL_ADD(address, value) atomicAdd((address), (value))
#define GLOBAL_ADD(address, value) atomicAdd((address), (value))

FUNCTION uint bitsOfFloat(float value) { return __float_as_uint(value); }
FUNCTION float floatOfBits(uint bits) { return __uint_as_float(bits); }
FUNCTION uint leadingZeros(uint bits) { return __clz((int)bits); }

// Writes 16 bytes at once, which the compiler splits when it is left to itself, as a stream that the caches need not keep.
FUNCTION void storeFour(GLOBAL void *place, uint x, uint y, uint z, uint w) {
  __stcs((uint4 *)place, make_uint4(x, y, z, w));
}

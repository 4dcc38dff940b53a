// The words of the kernels in OpenCL C 1.2. No extension is needed.

// A product and a sum are rounded each, unless a kernel writes fma.
#pragma OPENCL FP_CONTRACT OFF

#define KERNEL_SHARED_BY(COUNT) KERNEL
#define KERNEL __kernel __attribute__((reqd_work_group_size(GROUP_SIZE, 1, 1))) void
#define FUNCTION static inline
#define GLOBAL __global
#define LOCAL __local
// Local memory that is read four floats at a time.
#define LOCAL_FOURS __local __attribute__((aligned(16)))
// The address space of what a pointer to local memory points to.
#define LOCAL_SPACE __local
#define CONSTANT __constant

// The number of this work-item in its group, of its group, and of groups.
#define ITEM ((uint)get_local_id(0))
#define GROUP ((ulong)get_group_id(0))
#define GROUPS ((ulong)get_num_groups(0))
// Waits for the group, whose writes to local and global memory are seen after it, and whose reads are done.
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)

// A loop of fixed length: OpenCL's compilers unroll by themselves.
#define UNROLL

#define LOCAL_ADD(address, value) atomic_add((address), (value))
#define GLOBAL_ADD(address, value) atomic_add((address), (value))

FUNCTION uint bitsOfFloat(float value) { return as_uint(value); }
FUNCTION float floatOfBits(uint bits) { return as_float(bits); }
FUNCTION uint leadingZeros(uint bits) { return clz(bits); }

// Writes 16 bytes at once.
FUNCTION void storeFour(GLOBAL void *place, uint x, uint y, uint z, uint w) {
  *(GLOBAL uint4 *)place = (uint4)(x, y, z, w);
}

import Compute
import Glibc

/// The memory of this machine, or of the container in it.
enum HostMemory {
  /// From this size on memory is taken from the system directly and goes back to it as soon as it is freed.
  private static let mappedFrom = 1 << 20
  /// From this size on a request is compared with what is free: the system itself promises more than it has.
  private static let checkedFrom = 64 << 20

  /// All memory in bytes.
  static var total: Int {
    min(meminfo("MemTotal:") ?? .max, controlGroup("memory.max") ?? .max)
  }

  /// What can still be had, in bytes.
  static var free: Int {
    let limit = controlGroup("memory.max") ?? .max
    let used = controlGroup("memory.current") ?? 0
    let cached = TextFile.lines(of: "/sys/fs/cgroup/memory.stat").lazy.compactMap { line in
      line.hasPrefix("inactive_file ") ? Int(line.dropFirst(14)) : nil
    }
    let left = limit == .max ? .max : limit - used + (cached.first ?? 0)
    return min(meminfo("MemAvailable:") ?? .max, left)
  }

  /// Takes page-aligned memory.
  ///
  /// - Throws: `DeviceError.Code.outOfMemory` with the size asked for and the size free.
  static func allocate(byteCount: Int) throws(DeviceError) -> UnsafeMutableRawPointer {
    guard byteCount >= 0 else {
      throw DeviceError(.invalidArgument, operation: "allocate", expected: "a size of 0 or more", got: "\(byteCount)")
    }
    if byteCount >= checkedFrom && byteCount > free { throw exhausted(byteCount) }
    guard byteCount >= mappedFrom else {
      guard let memory = aligned_alloc(pageSize, roundedToPages(max(1, byteCount))) else { throw exhausted(byteCount) }
      return memory
    }
    let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else { throw exhausted(byteCount) }
    // Large pages: fewer page faults while the memory is touched for the first time. Only a wish.
    madvise(memory, byteCount, MADV_HUGEPAGE)
    return memory
  }

  /// Returns memory that `allocate` gave for the same size.
  static func release(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
    if byteCount >= mappedFrom {
      munmap(memory, byteCount)
    } else {
      Glibc.free(memory)
    }
  }

  private static let pageSize = sysconf(Int32(_SC_PAGESIZE))

  private static func roundedToPages(_ byteCount: Int) -> Int { (byteCount + pageSize - 1) / pageSize * pageSize }

  private static func exhausted(_ byteCount: Int) -> DeviceError {
    DeviceError(
      .outOfMemory, operation: "allocate", expected: "\(byteCount) bytes", got: "\(free) bytes free")
  }

  private static func meminfo(_ name: String) -> Int? {
    guard let line = TextFile.lines(of: "/proc/meminfo").first(where: { $0.hasPrefix(name) }) else { return nil }
    let fields = line.split(separator: " ")
    return fields.count >= 2 ? Int(fields[1]).map { $0 * 1024 } : nil
  }

  private static func controlGroup(_ name: String) -> Int? {
    TextFile.lines(of: "/sys/fs/cgroup/\(name)").first.flatMap { Int($0) }
  }
}

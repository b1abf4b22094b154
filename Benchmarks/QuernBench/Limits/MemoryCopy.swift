// SPDX-License-Identifier: Apache-2.0

/// Copying bytes from memory to memory: what a scan that gives out memos cannot beat by much.
enum MemoryCopy {
    /// - Returns: how long each copy took, after one that is not counted.
    static func durations(bytes: Int, repetitions: Int) -> [Duration] {
        let source = [UInt8](repeating: 3, count: bytes)
        var target = [UInt8](repeating: 0, count: bytes)
        return (0...repetitions).map { _ in
            timed {
                source.withUnsafeBytes { from in target.withUnsafeMutableBytes { $0.copyMemory(from: from) } }
                keep(target)
            }
        }.suffix(repetitions)
    }
}

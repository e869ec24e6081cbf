# What `make install` puts in place: header, libraries, pkg-config file, CMake package, manual pages.
include(CMakePackageConfigHelpers)

install(FILES include/stave.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS stave stave_static EXPORT stave_targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

configure_file(cmake/stave.pc.in stave.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/stave.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/stave)
install(EXPORT stave_targets FILE stave-targets.cmake NAMESPACE stave:: DESTINATION ${package_dir})
configure_package_config_file(cmake/stave-config.cmake.in stave-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(stave-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/stave-config.cmake ${PROJECT_BINARY_DIR}/stave-config-version.cmake
        DESTINATION ${package_dir})

foreach(section 1 3)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.${section})
  if(pages)
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endif()
endforeach()
install(FILES examples/stave.conf DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

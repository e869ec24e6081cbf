# One target a layer, and its link line is its row of the layers in docs/ARCHITECTURE.md.
#
# Headers are included as "layer/module.h". A target's include path leads to a folder with a link to its own layer and
# nothing else, and passes on to what it links: a layer outside the row is not found by the compiler.

# stave_layer_headers(<name> [<layer>...]): an interface target `headers_<name>` for what may be included.
function(stave_layer_headers name)
  set(root ${PROJECT_BINARY_DIR}/headers/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  add_library(headers_${name} INTERFACE)
  target_include_directories(headers_${name} INTERFACE ${root} ${PROJECT_SOURCE_DIR}/include)
  foreach(layer ${ARGN})
    target_link_libraries(headers_${name} INTERFACE headers_${layer})
  endforeach()
endfunction()

# stave_layer_objects(<target> <headers> <source>...): an object library, empty if there are no sources yet.
function(stave_layer_objects target headers)
  if(ARGN)
    add_library(${target} OBJECT ${ARGN})
    target_link_libraries(${target} PRIVATE ${headers})
  else()
    add_library(${target} INTERFACE)
  endif()
endfunction()

# stave_layer(<name> [<layer>...]): the folder's sources as `layer_<name>`, allowed to include these layers.
function(stave_layer name)
  stave_layer_headers(${name} ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  stave_layer_objects(layer_${name} headers_${name} ${sources})
endfunction()

# stave_objects(<variable> <target>...): the object files of those targets that have any.
function(stave_objects variable)
  set(objects)
  foreach(target ${ARGN})
    get_target_property(type ${target} TYPE)
    if(type STREQUAL OBJECT_LIBRARY)
      list(APPEND objects $<TARGET_OBJECTS:${target}>)
    endif()
  endforeach()
  set(${variable} ${objects} PARENT_SCOPE)
endfunction()
